// Settings of this deployment; a deployment replaces this file.

// The address of the API, ending in "/"; empty for the server that this page came from.
export const api = "";
// The address that exchanges e-mail and password for a token (Identity Toolkit, accounts:signInWithPassword);
// empty where users sign in with a token or an API key.
export const signIn = "";
// Further origins from which files of results are read.
export const files = [];
