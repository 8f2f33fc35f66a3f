/** Preact stands in for React, here and in the libraries that ask for it: a sixth of the bytes. Types stay React's. */
export const preact = [
  { find: "react-dom/client", replacement: "preact/compat/client" },
  { find: "react-dom/server", replacement: "preact/compat/server" },
  { find: /^react\/jsx(-dev)?-runtime$/, replacement: "preact/jsx-runtime" },
  { find: /^react(-dom)?$/, replacement: "preact/compat" },
];
