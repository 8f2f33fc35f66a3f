import MarkdownIt, { type Token } from "markdown-it";
import { createElement, Fragment, type ReactNode } from "react";
import { safeHref } from "../lib/links";

/**
 * A subset of Markdown. The library cuts the text into tokens; elements are made of them here, so that no HTML of
 * anybody's ever exists. No pictures: nothing of another host is loaded because somebody wrote its address.
 */
const parser = new MarkdownIt({ html: false, linkify: true, breaks: true }).disable([
  "image", "heading", "lheading", "hr", "table", "reference", "html_block", "html_inline",
]);

const TAGS: ReadonlySet<string> = new Set(["p", "strong", "em", "s", "blockquote", "ul", "ol", "li"]);

interface Frame {
  token: Token | null;
  children: ReactNode[];
}

/** `names` are shown as mentions where they stand behind an @. */
export function Markdown({ text, names }: { text: string; names: readonly string[] }) {
  return <div className="markdown">{toNodes(parser.parse(text, {}), names)}</div>;
}

export function toNodes(tokens: readonly Token[], names: readonly string[]): ReactNode[] {
  const root: Frame = { token: null, children: [] };
  const stack = [root];
  for (const [index, token] of tokens.entries()) {
    const top = stack[stack.length - 1] ?? root;
    if (token.nesting === 1) stack.push({ token, children: [] });
    else if (token.nesting === -1) {
      const closed = stack.length > 1 ? stack.pop() : undefined;
      if (closed?.token) (stack[stack.length - 1] ?? root).children.push(toElement(closed.token, index, closed.children));
    } else top.children.push(toLeaf(token, index, names));
  }
  return root.children;
}

function toElement(token: Token, key: number, children: ReactNode[]): ReactNode {
  if (token.tag === "a") {
    const href = safeHref(String(token.attrGet("href") ?? ""));
    if (href === null) return <Fragment key={key}>{children}</Fragment>;
    return (
      <a key={key} href={href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
    );
  }
  if (token.hidden || !TAGS.has(token.tag)) return <Fragment key={key}>{children}</Fragment>;
  return createElement(token.tag, { key, dir: token.tag === "p" ? "auto" : undefined }, ...children);
}

function toLeaf(token: Token, key: number, names: readonly string[]): ReactNode {
  switch (token.type) {
    case "inline":
      return <Fragment key={key}>{toNodes(token.children ?? [], names)}</Fragment>;
    case "softbreak":
    case "hardbreak":
      return <br key={key} />;
    case "code_inline":
      return <code key={key}>{token.content}</code>;
    case "fence":
    case "code_block":
      return (
        <pre key={key}>
          <code>{token.content}</code>
        </pre>
      );
    default:
      return <Fragment key={key}>{withMentions(token.content, names)}</Fragment>;
  }
}

function withMentions(text: string, names: readonly string[]): ReactNode[] {
  const parts: ReactNode[] = [];
  let rest = text;
  while (rest !== "") {
    const found = names
      .map((name) => ({ mention: `@${name}`, at: rest.indexOf(`@${name}`) }))
      .filter(({ at }) => at >= 0)
      .sort((one, other) => one.at - other.at || other.mention.length - one.mention.length)[0];
    if (found === undefined) break;
    if (found.at > 0) parts.push(rest.slice(0, found.at));
    parts.push(
      <mark key={parts.length} className="mention">
        <bdi>{found.mention}</bdi>
      </mark>,
    );
    rest = rest.slice(found.at + found.mention.length);
  }
  return rest === "" ? parts : [...parts, rest];
}
