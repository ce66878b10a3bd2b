// The reference page: shows the API's own OpenAPI document, and logs in through the API's own login, so that requests that are tried out
// carry the caller's token. Tokens stay in this page's memory; nothing is stored, and nothing but this origin is asked.
"use strict";

const PATHS = { login: "/auth/login", refresh: "/auth/refresh", logout: "/auth/logout" };
const MANY = 80; // operations: more than these start folded away
const session = { access: null, refresh: null, timer: 0 };
const part = (id) => document.getElementById(id);
let paths = {};
let schemes = [];
let ui;

function say(text) {
  part("notice").textContent = text;
  part("notice").hidden = !text;
}

async function send(path, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  if (session.access) headers.Authorization = "Bearer " + session.access;
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit" });
  const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail || answer.title || "The server answered " + response.status);
  return answer;
}

// Hands the token to every security scheme that takes one, under the name that the document gives it.
function authorize(token) {
  for (const [name, scheme] of schemes) {
    if (scheme.type !== "http" || !/^bearer$/i.test(scheme.scheme)) continue;
    if (token) ui.authActions.authorize({ [name]: { name, schema: scheme, value: token } });
    else ui.authActions.logout([name]);
  }
}

function forget() {
  clearTimeout(session.timer);
  session.access = session.refresh = null;
  authorize(null);
  part("who").hidden = true;
  part("login").hidden = false;
}

function keep(tokens) {
  session.access = tokens.access_token;
  session.refresh = tokens.refresh_token || null;
  authorize(session.access);
  clearTimeout(session.timer);
  if (!session.refresh || !paths[PATHS.refresh] || !(tokens.expires_in > 0)) return;
  const early = Math.min(30, tokens.expires_in / 2);
  session.timer = setTimeout(renew, (tokens.expires_in - early) * 1000);
}

async function renew() {
  try {
    keep(await send(PATHS.refresh, { refresh_token: session.refresh }));
  } catch (error) {
    forget();
    say("The session has ended: " + error.message);
  }
}

async function logIn(event) {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  say("");
  button.disabled = true;
  try {
    keep(await send(PATHS.login, { username: form.username.value, password: form.password.value }));
    part("name").textContent = form.username.value;
    form.reset();
    form.hidden = true;
    part("who").hidden = false;
  } catch (error) {
    say("Login failed: " + error.message);
  } finally {
    button.disabled = false;
  }
}

async function logOut() {
  try {
    if (paths[PATHS.logout]) await send(PATHS.logout, { refresh_token: session.refresh });
  } catch (error) {
    say("The server could not end the session: " + error.message);
  }
  forget();
}

// Where the contents on the left lead: to a tag's heading, opened when it was closed.
function goTo(tag) {
  const heading = document.querySelector('.opblock-tag[data-tag="' + CSS.escape(tag) + '"]');
  if (!heading) return;
  if (heading.dataset.isOpen === "false") heading.click();
  heading.scrollIntoView();
}

function showContents(spec) {
  const tags = new Set((spec.tags || []).map((tag) => tag.name));
  for (const path of Object.values(paths)) for (const operation of Object.values(path)) for (const tag of operation.tags || []) tags.add(tag);
  for (const tag of tags) {
    const link = document.createElement("a");
    link.href = "#/" + encodeURIComponent(tag);
    link.textContent = tag;
    link.addEventListener("click", (event) => {
      event.preventDefault();
      goTo(tag);
    });
    part("contents").append(link);
  }
  part("contents").hidden = tags.size < 2;
}

// A list has a filter for each field and operator: too many to scroll through. What compares is shown when it is asked for.
function isSpecialFilter(parameter, names) {
  if (parameter.get("in") !== "query") return false;
  const name = parameter.get("name");
  return name.endsWith("]") || (/^(min|max)_/.test(name) && names.has(name.slice(4)));
}

const fewerFilters = ({ React }) => ({
  wrapComponents: {
    parameters: (Original) => function Parameters(props) {
      const [all, setAll] = React.useState(false);
      const names = new Set(props.parameters.map((parameter) => parameter.get("name")));
      const plain = props.parameters.filter((parameter) => !isSpecialFilter(parameter, names));
      const more = names.size - plain.size;
      const shown = React.createElement(Original, all || more < 3 ? props : { ...props, parameters: plain });
      if (more < 3) return shown;
      const text = all ? "Fewer filters" : "More filters (" + more + "): at least, at most, one of, like …";
      const button = React.createElement("button", { type: "button", className: "more-filters", onClick: () => setAll(!all) }, text);
      return React.createElement(React.Fragment, null, shown, button);
    },
  },
});

// The document is JSON: read as YAML, as Swagger UI does, a large one takes many seconds.
const readAsJson = () => ({
  statePlugins: { spec: { wrapActions: { parseToJson: (_, { specActions }) => (text) => specActions.updateJsonSpec(JSON.parse(text)) } } },
});

function take(spec) {
  paths = spec.paths || {};
  schemes = Object.entries((spec.components || {}).securitySchemes || {});
  if (spec.info && spec.info.title) {
    document.title = spec.info.title + ": API reference";
    document.querySelector(".bar-title").textContent = spec.info.title;
  }
  part("login").hidden = !paths[PATHS.login];
  document.documentElement.classList.toggle("has-login", Boolean(paths[PATHS.login]));
  showContents(spec);
}

async function start() {
  const response = await fetch("/openapi.json", { headers: { Accept: "application/json" }, credentials: "omit" });
  if (!response.ok) throw new Error("the server answered " + response.status);
  const spec = await response.json();
  take(spec);
  const operations = Object.values(paths).reduce((sum, path) => sum + Object.keys(path).length, 0);
  ui = SwaggerUIBundle({
    spec,
    dom_id: "#reference",
    plugins: [fewerFilters, readAsJson],
    deepLinking: true,
    filter: true,
    validatorUrl: null,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    docExpansion: operations > MANY ? "none" : "list", // drawing thousands of rows takes a browser many seconds
    persistAuthorization: false,
  });
}

function followColors() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", apply);
  apply();
}

followColors();
part("login").addEventListener("submit", logIn);
part("logout").addEventListener("click", logOut);
start().catch((error) => say("The API's description could not be read: " + error.message));
