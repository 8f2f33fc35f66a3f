import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = process.env.TING_SERVER ?? "http://127.0.0.1:7880";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // The server's Content-Security-Policy allows no inline script and no data: URL.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
    // The bundle holds other people's code: their licences travel with it.
    license: { fileName: "licenses.md" },
    chunkSizeWarningLimit: 900,
  },
  server: {
    proxy: {
      "/api": server,
      "/readyz": server,
      "/rtc": { target: server, ws: true },
    },
  },
});
