// Where the API is, ending in "/"; empty where it is the server that this page came from. A deployment writes this file anew.
export const api = "";
// Where an e-mail address and a password are exchanged for a token (Identity Toolkit, accounts:signInWithPassword); empty where users
// have a token or a key.
export const signIn = "";
// Where an answer may send the page on to read a file: origins, apart from the API's own.
export const files = [];
