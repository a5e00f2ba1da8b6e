"""Who may ask a server: with a token, and without one from this machine but not from a web page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

import urllib3
from berrypick.retrieval_index.errors import BerrypickError
from berrypick.retrieval_index.remote import RemoteSearcher
from berrypick.retrieval_index.server.access import host_name
from berrypick.retrieval_index.server.settings import ServerSettings
from fixtures.machine import patience
from fixtures.retrieval_server import Held, connect, detail, post

Serve = Callable[..., str]
BODY = {"queries": ["q"], "topk": 1}
PAGES = ("/health", "/metrics", "/docs", "/openapi.json")


@pytest.fixture
def opened() -> Held:
    held = Held()
    held.open()
    return held


def get(url: str, **headers: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, headers=headers, retries=False, timeout=patience(20))


@pytest.mark.slow
def test_without_a_token_the_host_must_be_this_machine(serve: Serve, opened: Held) -> None:
    url = serve(opened, host="127.9.9.9")
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8000", "127.9.9.9:80"):
        assert post(url + "/retrieve", BODY, Host=host).status == 200, host
        assert {get(url + page, Host=host).status for page in PAGES} == {200}
    opened.asked.clear()
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", "[::2]", "x[::1]"):
        reply = post(url + "/retrieve", BODY, Host=host)
        assert (reply.status, "BERRYPICK_TOKEN" in detail(reply)) == (421, True), host
        assert {get(url + page, Host=host).status for page in PAGES} == {421}
    with connect(url) as connection:  # HTTP/1.0 has requests without a host; a browser sends none
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b" 421 " in connection.recv(100)
    assert not opened.asked


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_what_clients_send_is_admitted(serve: Serve, opened: Held, kind: str) -> None:
    assert post(serve(opened) + "/retrieve", BODY, **{"Content-Type": kind}).status == 200


def test_what_a_page_of_another_site_can_post_is_refused(serve: Serve, opened: Held) -> None:
    url = serve(opened)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        for path in ("/retrieve", "/search"):
            reply = post(url + path, BODY, **{"Content-Type": kind})
            assert (reply.status, "application/json" in detail(reply)) == (415, True), kind
    blob = b'{"queries":["q"]}'  # fetch() sends a Blob without a type, and always says where the page is from
    for sent in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert urllib3.request("POST", url + "/retrieve", body=blob, headers=sent, retries=False).status == 415
    assert not opened.asked
    assert urllib3.request("POST", url + "/retrieve", body=blob, retries=False).status == 200  # a simple program
    searcher = RemoteSearcher(url)  # berrypick's own client
    assert [hit.id for hit in searcher.search(["q"], 1)[0]] == ["q0"]
    searcher.close()


def test_with_a_token_neither_host_nor_type_matters_and_every_page_but_health_needs_it(
    serve: Serve, opened: Held
) -> None:
    url = serve(opened, token="s3 &'<>cret\n")  # the line break of a file with a secret
    sent = {"Authorization": "Bearer s3 &'<>cret"}
    assert post(url + "/retrieve", BODY, Host="my.cluster", **{"Content-Type": "text/plain"}, **sent).status == 200
    for page in PAGES:
        assert get(url + page, Host="my.cluster").status == (200 if page == "/health" else 401), page
        assert get(url + page, Authorization="Bearer wrong").status == (200 if page == "/health" else 401), page
        assert get(url + page, **sent).status == 200, page
    page = get(url + "/docs?token=s3%20%26%27%3C%3Ecret").data.decode()
    assert "'/openapi.json?token=s3%20%26%27%3C%3Ecret'" in page  # which it reads
    assert get(url + "/openapi.json?token=s3%20%26%27%3C%3Ecret").json()["paths"]


@pytest.mark.parametrize("token", ["", " ", "\n", "\t "])
def test_a_blank_token_is_refused(token: str) -> None:
    with pytest.raises(BerrypickError, match="BERRYPICK_TOKEN is set but blank"):
        ServerSettings(token=token)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("", ""),
        ("A.b:8", "a.b"),
        ("[::1]", "::1"),
        ("[::1]:80", "::1"),
        ("[::1", ""),
        ("::1", ""),
        (" x ", "x"),
        ("[::1]x", ""),
    ],
)
def test_host_names(header: str, name: str) -> None:
    assert host_name(header) == name
