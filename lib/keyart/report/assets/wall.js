// The wall: search, filter, switch region and policy, show more. The first cards lie in the page; everything else comes
// from wall-data.js, which is fetched when it is first needed (as a script: pages opened from disk may not fetch).
"use strict";

(() => {
  const PAGE = 48;
  const LEVELS = ["region", "parent", "global", "rank"];
  const wall = document.getElementById("wall");
  if (!wall) return;
  const images = wall.dataset.images;
  const controls = document.getElementById("controls");
  const more = document.getElementById("more");
  const status = document.getElementById("status");
  const nothing = document.getElementById("nothing");
  const control = (id) => document.getElementById(id);
  const start = status.textContent;
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const percent = (value) => {
    const text = `${Math.abs(value * 100).toFixed(1)}%`;
    return Number.parseFloat(text) === 0 ? "0.0%" : (value < 0 ? "\u2212" : "+") + text;
  };

  let loading = null;
  const load = () => {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "assets/wall-data.js";
      script.onload = () => {
        const data = window.keyartWall;
        data.found = data.titles.map((title) => plain(title[1]));
        resolve(data);
      };
      script.onerror = () => reject(new Error("assets/wall-data.js could not be read"));
      document.head.append(script);
    });
    return loading;
  };

  const wanted = () => ({
    words: plain(control("search").value).split(/\s+/).filter(Boolean),
    genre: control("genre")?.value ?? "",
    mood: control("mood")?.value ?? "",
    policy: control("policy")?.value ?? "",
    region: controls.querySelector('input[name="region"]:checked')?.value ?? "*",
  });

  // What a title shows under a policy in a region: its choice, and whether that is another than everywhere.
  const choiceOf = (data, title, want) => {
    const ofPolicy = title[7][Math.max(0, data.policies.indexOf(want.policy))];
    if (!ofPolicy) return { picture: title[5], note: "no artwork chosen yet", differs: false };
    const region = data.regions.indexOf(want.region);
    const [everywhere, here] = [ofPolicy[0], ofPolicy[region]];
    const differs = here[0] !== everywhere[0];
    const gain = here[2] === null ? "" : `${percent(here[2])} over its average`;
    let note = gain || "first by rank, before anyone saw it";
    if (gain && region > 0) {
      const where = { region: `in ${want.region}`, parent: `in ${data.parents[region]}`, global: "everywhere" };
      note = differs ? `${gain} ${where[LEVELS[here[1]]]}` : "as everywhere";
    }
    return { picture: here[0], note, differs };
  };

  const element = (name, kind, text) => {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const cardOf = (data, title, choice) => {
    const [key, name, genres, rating, of, , pictures] = title;
    const card = element("li", choice.differs ? "card differs" : "card");
    const link = element("a");
    link.href = `title-${key}.html`;
    const frame = element("span", "frame");
    const [file, alt, number] = choice.picture === null ? [] : pictures[choice.picture];
    if (file) {
      const picture = element("img", "picture");
      Object.assign(picture, { loading: "lazy", decoding: "async", alt, src: `${images}/${file}` });
      frame.append(picture);
    } else {
      const missing = element("span", "picture missing");
      missing.append(element("span", "", "no picture"));
      frame.append(missing);
    }
    const label = element("span", "label");
    label.append(element("span", "name", name));
    const about = [genres.map((index) => data.genres[index]).join(", "), rating].filter(Boolean).join(" · ");
    if (about) label.append(element("span", "genres", about));
    const note = element("span", "note");
    note.append(element("span", "why", choice.note));
    if (number) {
      const place = element("span", "of");
      place.append(element("span", "visually-hidden", "artwork "), element("span", "n", number), ` of ${of}`);
      note.append(" ", place);
    }
    label.append(note);
    link.append(frame, label);
    card.append(link);
    return card;
  };

  let fitting = null; // titles that fit what is wanted, with what they show; null while the page's own cards stand
  const append = (data, upTo) => {
    const cards = fitting.slice(wall.childElementCount, upTo).map(([title, choice]) => cardOf(data, title, choice));
    wall.append(...cards);
    more.hidden = wall.childElementCount >= fitting.length;
  };

  const filter = async () => {
    const data = await load();
    const want = wanted();
    fitting = [];
    data.titles.forEach((title, index) => {
      if (!want.words.every((word) => data.found[index].includes(word))) return;
      if (want.genre && !title[2].some((genre) => data.genres[genre] === want.genre)) return;
      const choice = choiceOf(data, title, want);
      const moods = choice.picture === null ? [] : title[6][choice.picture][3];
      if (want.mood && !moods.some((mood) => data.moods[mood] === want.mood)) return;
      fitting.push([title, choice]);
    });
    const shown = Math.max(PAGE, Math.min(wall.childElementCount, 4 * PAGE));
    wall.replaceChildren();
    append(data, shown);
    nothing.hidden = fitting.length > 0;
    say(data, want);
  };

  const say = (data, want) => {
    const changed = fitting.filter(([, choice]) => choice.differs).length;
    const part = fitting.length === data.titles.length ? "" : `${fitting.length} of ${data.titles.length} titles. `;
    const where =
      want.region === "*" ? start : `${changed} of ${fitting.length} titles show another picture in ${want.region}`;
    status.textContent = part + where;
  };

  const showMore = async () => {
    const data = await load();
    if (fitting === null) await filter();
    append(data, wall.childElementCount + PAGE);
  };

  controls.addEventListener("input", filter);
  controls.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", showMore);
  new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && !more.hidden && showMore(), {
    rootMargin: "600px",
  }).observe(more);
  // A browser that comes back to the page keeps what was chosen.
  const kept = wanted();
  if (kept.words.length || kept.genre || kept.mood || kept.region !== "*" || control("policy")?.selectedIndex > 0) filter();
})();
