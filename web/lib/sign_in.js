// Signing in: by e-mail and password where config.js says where they are exchanged, else by a token or key. Neither leaves this tab.

import { signIn } from "../config.js";
import { Problem, token } from "./api.js";
import { byId, h, openDialog } from "./dom.js";
import { clearStored } from "./state.js";

let afterSignIn = () => null;

export const account = {
  // Shows the button where there is something to sign in to.
  init(signed, afterwards) {
    afterSignIn = afterwards;
    const button = byId("account");
    button.hidden = !signed && !signIn;
    button.textContent = signed ? "Sign out" : "Sign in";
    button.addEventListener("click", () => (token() ? account.signOut() : account.open()));
  },
  // A server that asks who it is has spoken.
  showSignIn() {
    const button = byId("account");
    button.hidden = false;
    button.textContent = token() ? "Sign out" : "Sign in";
  },
  signOut() {
    sessionStorage.clear();
    clearStored();
    location.hash = "";
    location.reload();
  },
  open() {
    const wrong = h("p", { class: "wrong", role: "alert" });
    const enter = async (event) => {
      event.preventDefault();
      const given = new FormData(event.target);
      try {
        sessionStorage.setItem(
          "token",
          given.get("token")?.trim() || (await exchangePassword(given.get("email"), given.get("password"))),
        );
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
      signIn
        ? h(
            "form",
            { onsubmit: enter },
            field("E-mail", { name: "email", type: "email", autocomplete: "username", required: true }),
            field("Password", {
              name: "password",
              type: "password",
              autocomplete: "current-password",
              required: true,
            }),
            h("button", { class: "first" }, "Sign in"),
          )
        : null,
      h(
        "form",
        { onsubmit: enter },
        field(signIn ? "Or a token or API key" : "Token or API key", {
          name: "token",
          type: "password",
          autocomplete: "off",
          required: true,
        }),
        h(
          "p",
          { class: "note" },
          "It is kept for this tab only. ",
          h("code", {}, "revisit keys create"),
          " makes a key.",
        ),
        h(
          "p",
          { class: "row" },
          h("button", { class: signIn ? "" : "first" }, "Use it"),
          h("button", { type: "button", onclick: () => box.close() }, "Cancel"),
        ),
      ),
      wrong,
    );
  },
};

const field = (label, attributes) =>
  h("label", { class: "field" }, h("span", {}, label), h("input", attributes));

async function exchangePassword(email, password) {
  let answer;
  try {
    answer = await fetch(signIn, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ email, password, returnSecureToken: true }),
    });
  } catch {
    throw new Problem("The sign-in service does not answer; check the network and try again.");
  }
  const said = await answer.json().catch(() => ({}));
  if (said.idToken) return said.idToken;
  throw new Problem(
    /TOO_MANY/.test(said.error?.message)
      ? "Too many attempts; wait a few minutes and try again."
      : "This e-mail address and password do not belong together; check both.",
  );
}
