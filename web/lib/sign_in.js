// Sign-in by e-mail and password where config.js names the service that exchanges them, else by a token or
// API key. The token stays in this tab's session storage.

import { signIn } from "../config.js";
import { Problem, token } from "./api.js";
import { button, byId, field, h, openDialog, row } from "./dom.js";
import { clearStored } from "./state.js";

let afterSignIn = () => null;

export const account = {
  // Show the account button where there is something to sign in to.
  init(signedIn, afterwards) {
    afterSignIn = afterwards;
    const toggle = byId("account");
    toggle.hidden = !signedIn && !signIn;
    toggle.textContent = signedIn ? "Sign out" : "Sign in";
    toggle.addEventListener("click", () => (token() ? account.signOut() : account.open()));
  },
  // Show the account button after the API has answered 401 or a token was entered.
  showSignIn() {
    const toggle = byId("account");
    toggle.hidden = false;
    toggle.textContent = token() ? "Sign out" : "Sign in";
  },
  signOut() {
    sessionStorage.clear();
    clearStored();
    location.hash = "";
    location.reload();
  },
  open() {
    const wrong = h("p", { class: "wrong", role: "alert" });
    const submit = async (event) => {
      event.preventDefault();
      const given = new FormData(event.target);
      try {
        const entered = given.get("token")?.trim();
        const next = entered || (await exchangePassword(given.get("email"), given.get("password")));
        sessionStorage.setItem("token", next);
        box.close();
        account.showSignIn();
        afterSignIn();
      } catch (error) {
        wrong.textContent = error.message;
      }
    };
    const box = openDialog(
      { "aria-labelledby": "signing-title" },
      h("h2", { id: "signing-title" }, "Sign in"),
      signIn ? passwordForm(submit) : null,
      tokenForm(submit, () => box.close()),
      wrong,
    );
  },
};

const passwordForm = (onsubmit) =>
  h(
    "form",
    { onsubmit },
    field("E-mail", input({ name: "email", type: "email", autocomplete: "username" })),
    field("Password", input({ name: "password", type: "password", autocomplete: "current-password" })),
    h("button", { class: "first" }, "Sign in"),
  );

const tokenForm = (onsubmit, cancel) =>
  h(
    "form",
    { onsubmit },
    field(
      signIn ? "Or a token or API key" : "Token or API key",
      input({ name: "token", type: "password", autocomplete: "off" }),
    ),
    h(
      "p",
      { class: "note" },
      "Kept for this tab only. Create a key with ",
      h("code", {}, "revisit keys create"),
      ".",
    ),
    row(h("button", { class: signIn ? "" : "first" }, "Use it"), button("Cancel", cancel)),
  );

const input = (attributes) => h("input", { required: true, ...attributes });

async function exchangePassword(email, password) {
  let answer;
  try {
    answer = await fetch(signIn, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ email, password, returnSecureToken: true }),
    });
  } catch {
    throw new Problem("The sign-in service does not answer. Check the network and try again.");
  }
  const body = await answer.json().catch(() => ({}));
  if (body.idToken) return body.idToken;
  throw new Problem(
    /TOO_MANY/.test(body.error?.message)
      ? "Too many attempts. Wait a few minutes and try again."
      : "The e-mail address and the password do not match. Check both.",
  );
}
