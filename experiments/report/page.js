"use strict";
// The episode browser of report.html. Data reaches the page only through textContent, never as markup.
(async () => {
  if (!("DecompressionStream" in window)) {
    document.querySelector(".keys").textContent = "This browser is too old to show the episodes.";
    return;
  }
  const ROW = 46; // height of a row of the list in pixels, as in page.css
  const data = await unpacked(document.getElementById("episodes").textContent);
  const { arms, texts, passages, questions, kinds } = data;
  const episodes = data.episodes.map(([question, arm, sample, result, answer, kind, turns, reward, against]) => (
    { question, arm, sample, result, answer, kind, turns, reward, against }));
  const byId = (id) => document.getElementById(id);
  const [list, rows, detail, count] = ["list", "rows", "detail", "count"].map(byId);
  const [search, question, policy, result, kind] = ["search", "question", "policy", "result", "kind"].map(byId);

  const lower = [];
  const lowered = (at) => (lower[at] ??= texts[at].toLowerCase());
  let shown = episodes.map((_, at) => at); // numbers of the episodes that pass the filters
  let place = 0; // of the selected episode in `shown`

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function option(select, value, text) {
    const element = make("option", "", text);
    element.value = value;
    select.append(element);
  }

  // base64(zlib(JSON)), which takes a quarter of the JSON's room
  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  // Marks and colours are those of exact match. A recorded reward that differs is named beside them, and where it says
  // the opposite the mark has no colour.
  const rewardWord = ({ reward }) => (reward === null ? "" : `reward ${Number(reward.toFixed(3))}`);
  const resultWord = (episode) => [
    episode.result < 0 ? "not graded" : episode.result ? "right (exact match)" : "wrong (no exact match)",
    episode.reward === null ? "" : `${episode.against ? "but " : ""}recorded ${rewardWord(episode)}`,
  ].filter(Boolean).join(", ");
  const resultClass = ({ result, against }) => (result < 0 ? "" : against ? "against" : result ? "right" : "wrong");
  const resultMark = (episode) => {
    const mark = episode.result < 0 ? "–" : episode.result ? "✓" : "✗";
    if (episode.reward === null) return mark;
    return episode.result < 0 ? `${mark} ${rewardWord(episode)}` : `${mark} EM, ${rewardWord(episode)}`;
  };

  // ---- filters ----

  // For every text, whether it holds the word; an episode matches if one of its texts does.
  function holding(word) {
    const found = new Uint8Array(texts.length);
    for (let at = 0; at < texts.length; at++) found[at] = lowered(at).includes(word) ? 1 : 0;
    return found;
  }

  function matches(episode, found, word) {
    const asked = questions[episode.question];
    if (found[asked[1]] || asked[0].toLowerCase().includes(word)) return true;
    if (episode.answer >= 0 && found[episode.answer]) return true;
    return episode.turns.some((turn) => found[turn[0]] || turn[2].some((at) => found[at]) ||
      turn[4].some((at) => found[at]));
  }

  function filter() {
    const selected = shown[place];
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean).map((word) => [word, holding(word)]);
    const asked = question.value.trim().toLowerCase();
    const wanted = questions.map((row) => !asked || row[0].toLowerCase().includes(asked) ||
      lowered(row[1]).includes(asked));
    shown = [];
    episodes.forEach((episode, at) => {
      if (policy.value !== "" && episode.arm !== Number(policy.value)) return;
      if (result.value !== "" && episode.result !== Number(result.value)) return;
      if (kind.value !== "" && episode.kind !== Number(kind.value)) return;
      if (!wanted[episode.question]) return;
      if (words.every(([word, found]) => matches(episode, found, word))) shown.push(at);
    });
    place = Math.max(0, shown.indexOf(selected));
    const of = episodes.length.toLocaleString("en");
    count.textContent = `${shown.length.toLocaleString("en")} of ${of} episodes`;
    rows.style.height = `${shown.length * ROW}px`;
    reveal();
    select(place);
  }

  // ---- the list: only the rows in view exist ----

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 4);
    rows.replaceChildren();
    for (let at = first; at < last; at++) rows.append(row(at));
  }

  function row(at) {
    const episode = episodes[shown[at]];
    const element = make("div", "row");
    element.id = `row${at}`;
    element.setAttribute("role", "option");
    element.setAttribute("aria-selected", String(at === place));
    element.style.top = `${at * ROW}px`;
    const head = make("div");
    const mark = make("b", resultClass(episode), `${resultMark(episode)} `);
    mark.title = resultWord(episode);
    head.append(mark);
    head.append(texts[questions[episode.question][1]]);
    const foot = make("div");
    foot.append(dot(episode.arm), `${arms[episode.arm][0]} · sample ${episode.sample}`);
    if (kinds[episode.kind]) foot.append(` · ${kinds[episode.kind]}`);
    element.append(head, foot);
    element.addEventListener("click", () => select(at));
    return element;
  }

  function dot(arm) {
    const element = make("span", "dot");
    element.style.background = arms[arm][1];
    return element;
  }

  function reveal() {
    const top = place * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  }

  function select(at) {
    place = Math.min(Math.max(at, 0), Math.max(shown.length - 1, 0));
    reveal();
    draw();
    if (shown.length) list.setAttribute("aria-activedescendant", `row${place}`);
    else list.removeAttribute("aria-activedescendant");
    show();
  }

  // ---- the selected episode, next to the other rollouts of its question ----

  function show() {
    detail.replaceChildren();
    detail.scrollTop = 0;
    if (!shown.length) return void detail.append(make("p", "note", "No episode passes these filters; Esc clears the search."));
    const episode = episodes[shown[place]];
    const [id, text, answers, evidence] = questions[episode.question];
    detail.append(make("h3", "", texts[text]));
    const facts = make("div", "note", `${id} · right answer: ${answers.map((at) => texts[at]).join(" | ") || "unknown"} `);
    detail.append(facts);
    const only = make("button", "", question.value === id ? "all questions" : "only this question");
    only.addEventListener("click", () => { question.value = question.value === id ? "" : id; filter(); });
    detail.append(only);

    const group = episodes.filter((other) => other.question === episode.question && other.arm === episode.arm);
    const seen = new Map(); // passage -> number of rollouts of the group that were shown it
    for (const other of group) {
      for (const passage of new Set(other.turns.flatMap((turn) => turn[3].flat()))) {
        seen.set(passage, (seen.get(passage) || 0) + 1);
      }
    }
    const marks = { evidence: new Set(evidence), seen };
    const title = make("h4");
    title.append(dot(episode.arm), `${arms[episode.arm][0]}: queries of its ${group.length} rollouts`);
    detail.append(title, groupTable(group, episode, marks), legend());
    detail.append(make("h4", "", `Sample ${episode.sample}: `));
    detail.lastChild.append(make("span", resultClass(episode), resultWord(episode)),
      episode.answer < 0 ? ", no answer" : `, answer: ${texts[episode.answer]}`);
    for (const turn of episode.turns) detail.append(...turnParts(turn, marks));
  }

  function groupTable(group, episode, marks) {
    const wrap = make("div", "scroll");
    const table = make("table", "group");
    const head = table.createTHead().insertRow();
    head.append(make("th", "", ""));
    for (const other of group) {
      const cell = make("th", other === episode ? "here" : "");
      cell.append(`sample ${other.sample} `, make("span", resultClass(other), resultMark(other)));
      cell.dataset.episode = String(other.sample);
      cell.addEventListener("click", () => goTo(other));
      head.append(cell);
    }
    const body = table.createTBody();
    const searches = group.map((other) => other.turns.flatMap((turn) => turn[2].map((at, n) => [at, turn[3][n] || []])));
    const most = Math.max(0, ...searches.map((made) => made.length));
    const entry = (other) => {
      const cell = make("td", other === episode ? "here" : "");
      cell.dataset.head = `sample ${other.sample} ${resultMark(other)}`; // shown on paper, where cells wrap
      return cell;
    };
    for (let at = 0; at < most; at++) {
      const line = body.insertRow();
      line.append(make("td", "", String(at + 1)));
      group.forEach((other, column) => {
        const cell = entry(other);
        const made = searches[column][at];
        if (made) {
          cell.append(make("div", "", texts[made[0]]));
          for (const passage of made[1]) cell.append(chip(passage, marks));
        }
        line.append(cell);
      });
    }
    const last = body.insertRow();
    last.append(make("td", "", "→"));
    for (const other of group) {
      const cell = entry(other);
      cell.append(make("span", resultClass(other), other.answer < 0 ? "no answer" : texts[other.answer]));
      last.append(cell);
    }
    wrap.append(table);
    return wrap;
  }

  function goTo(other) {
    const at = shown.indexOf(episodes.indexOf(other));
    if (at >= 0) return select(at);
    for (const field of [search, result, kind]) field.value = "";
    filter();
    select(shown.indexOf(episodes.indexOf(other)));
  }

  function chip(passage, { evidence, seen }) {
    const times = seen.get(passage);
    const words = [evidence.has(passage) ? "supports the answer" : "", times > 1 ? `shared by ${times} rollouts` : "unique"];
    const element = make("span", `chip ${evidence.has(passage) ? "support " : ""}${times > 1 ? "shared" : "unique"}`);
    element.textContent = `${evidence.has(passage) ? "★ " : ""}${passages[passage]} ${times > 1 ? `×${times}` : "unique"}`;
    element.title = `${passages[passage]}: ${words.filter(Boolean).join(", ")}`;
    return element;
  }

  function legend() {
    return make("div", "note", "★ supports the answer · ×n was shown to n rollouts of this group · unique: to this one alone");
  }

  function turnParts([text, action, , hits, observation, error], marks) {
    const parts = [make("pre", "", texts[text])];
    if (action === "i" || error >= 0) parts.push(make("div", "note wrong", error >= 0 ? texts[error] : "not a valid action"));
    if (observation.length) parts.push(observed(observation, hits.flat(), marks));
    return parts;
  }

  // The observation; where its numbered passages are as many as the hits, passages that support the answer are marked.
  function observed(parts, hits, { evidence }) {
    const element = make("pre", "env");
    const isMark = (text) => /^(\[\d+\] |Doc \d+)$/.test(text);
    const numbered = parts.filter((at) => isMark(texts[at])).length === hits.length;
    let passage = -1;
    for (const [place, at] of parts.entries()) {
      const outer = place === 0 ? texts[at].trimStart() : texts[at];
      const text = place === parts.length - 1 ? outer.trimEnd() : outer;
      if (isMark(text)) passage++;
      const supports = numbered && passage >= 0 && evidence.has(hits[passage]) && !/^\s*<\/?information>\s*$/.test(text);
      element.append(supports ? make("span", "support", text) : text);
    }
    return element;
  }

  // ---- keyboard ----

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const field = document.activeElement;
    const typing = field instanceof HTMLInputElement || field instanceof HTMLSelectElement;
    const { key } = event;
    if (key === "Escape") {
      if (field === detail) list.focus();
      else {
        search.value = "";
        if (field === question) question.value = "";
        filter();
        list.focus();
      }
    } else if (typing && key === "Enter") {
      list.focus();
    } else if (typing) {
      return;
    } else if (key === "/") {
      search.focus();
      search.select();
    } else if (key === "j" || (key === "ArrowDown" && field === list)) {
      select(place + 1);
    } else if (key === "k" || (key === "ArrowUp" && field === list)) {
      select(place - 1);
    } else if (key === "Enter" && field === list) {
      detail.focus();
      detail.scrollIntoView({ block: "nearest" });
    } else {
      return;
    }
    event.preventDefault();
  });

  // ---- start ----

  arms.forEach(([name], at) => option(policy, at, name));
  if (episodes.some((episode) => episode.result < 0)) option(result, -1, "not graded");
  const often = new Map();
  for (const episode of episodes) often.set(episode.kind, (often.get(episode.kind) || 0) + 1);
  const paths = [...often].filter(([at]) => kinds[at]).sort((a, b) => b[1] - a[1]);
  paths.slice(0, 300).forEach(([at, times]) => option(kind, at, `${kinds[at]} (${times.toLocaleString("en")})`));
  kind.hidden = !paths.length;
  let waiting = 0;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); };
  search.addEventListener("input", soon);
  question.addEventListener("input", soon);
  for (const field of [policy, result, kind]) field.addEventListener("change", filter);
  list.addEventListener("scroll", draw);
  window.addEventListener("resize", draw);
  byId("browser").hidden = false;
  filter();
})();
