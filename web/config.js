// Where the API is, ending in "/"; empty where it is the server that this page came from. A deployment writes this file anew.
export const api = "";
