import { defineConfig } from "vitest/config";
import { preact } from "./build/preact.ts";

export default defineConfig({
  resolve: { alias: preact },
  test: {
    environment: "node",
    include: ["src/**/*.test.ts"],
    // So that their imports of React are replaced too.
    server: { deps: { inline: ["lucide-react"] } },
  },
});
