/** White label: what a server says about its brand. */

const COLOUR = /^#[0-9a-f]{6}$/i;

export interface Palette {
  accent: string;
  accentHover: string;
  accentSoft: string;
  onAccent: string;
}

/** What is empty or null is the app's own, or not there. */
export interface Brand {
  /** Path of the picture. */
  logo: string;
  title: string;
  subtitle: string;
  imprint: string;
  privacy: string;
  terms: string;
  mail: string;
  light: Palette | null;
  dark: Palette | null;
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
/** Whatever the server says, no script is a link. */
const linkOf = (value: unknown): string => (/^https?:\/\//i.test(textOf(value)) ? textOf(value) : "");

export function toBrand(value: unknown): Brand {
  const body = recordOf(value);
  return {
    logo: textOf(body.logo),
    title: textOf(body.title),
    subtitle: textOf(body.subtitle),
    imprint: linkOf(body.imprint),
    privacy: linkOf(body.privacy),
    terms: linkOf(body.terms),
    mail: textOf(body.mail),
    light: toPalette(body.light),
    dark: toPalette(body.dark),
  };
}

export const NO_BRAND = toBrand(undefined);

function toPalette(value: unknown): Palette | null {
  const body = recordOf(value);
  const palette = {
    accent: textOf(body.accent),
    accentHover: textOf(body.accent_hover),
    accentSoft: textOf(body.accent_soft),
    onAccent: textOf(body.on_accent),
  };
  return Object.values(palette).every((colour) => COLOUR.test(colour)) ? palette : null;
}

/** The rules that put the brand's colours in the place of those of tokens.css. Empty: there are none. */
export function brandRules({ light, dark }: Pick<Brand, "light" | "dark">): string {
  if (light === null || dark === null) return "";
  return [
    `:root { ${declarations(light)} }`,
    `@media (prefers-color-scheme: dark) { :root { ${declarations(dark)} } }`,
    `[data-theme="dark"] { ${declarations(dark)} }`,
  ].join("\n");
}

function declarations({ accent, accentHover, accentSoft, onAccent }: Palette): string {
  return [
    `--accent: ${accent};`,
    `--accent-hover: ${accentHover};`,
    `--accent-soft: ${accentSoft};`,
    `--on-accent: ${onAccent};`,
    `--ring: ${accent};`,
  ].join(" ");
}
