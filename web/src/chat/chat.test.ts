import fc from "fast-check";
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { parseEntry } from "../log/entries";
import { EMPTY, lineOf } from "../log/fold";
import { byteLength, continuesLine, mentionAt, mentionsIn, namesFor, nameOf, readersOf, rowsOf } from "./draft";
import { Markdown } from "./Markdown";

const html = (text: string, names: string[] = []) => renderToStaticMarkup(createElement(Markdown, { text, names }));

describe("Markdown", () => {
  it.each([
    ["**a** *b* ~~c~~ `d`", "<strong>a</strong> <em>b</em> <s>c</s> <code>d</code>"],
    ["one\ntwo", "one<br/>two"],
    ["```\nlet x\n```", "<pre><code>let x\n</code></pre>"],
    ["> said", "<blockquote>"],
    ["- a\n- b", "<ul><li>a</li><li>b</li></ul>"],
    ["see https://a.example/x.", '<a href="https://a.example/x" target="_blank" rel="noopener noreferrer nofollow">'],
    ["[here](https://a.example/)", '<a href="https://a.example/" target="_blank" rel="noopener noreferrer nofollow">here</a>'],
    ["<b>x</b>", "&lt;b>x&lt;/b>"],
    ["# no heading", "# no heading"],
  ])("%j has %s", (text, expected) => {
    expect(html(text)).toContain(expected);
  });

  it.each([
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html;base64,AAAA)",
    "[x](https://bank.example@evil.example/)",
    "![x](https://evil.example/pixel.png)",
    "<img src=https://evil.example/x onerror=alert(1)>",
    "<javascript:alert(1)>",
    "[x][1]\n\n[1]: javascript:alert(1)",
  ])("%j opens nothing bad and loads nothing", (text) => {
    const shown = html(text);
    expect(shown).not.toMatch(/href="(?!https:\/\/evil\.example\/(?:pixel\.png|x)")|<img|<script/i);
  });

  it("makes only elements that it knows, from any text", () => {
    const piece = fc.constantFrom("*", "_", "`", "[", "](", ")", "<", ">", "javascript:", "http://", "\n", "- ", "> ", "&#106;", "x", "!", "|", "~~");
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string({ unit: "grapheme" })), { maxLength: 40 }), (parts) => {
        const shown = html(parts.join(""));
        for (const [, tag] of shown.matchAll(/<\/?([a-z]+)/gi)) {
          expect(["div", "p", "strong", "em", "s", "blockquote", "ul", "ol", "li", "br", "code", "pre", "a"]).toContain(tag);
        }
        for (const [, href] of shown.matchAll(/href="([^"]*)"/g)) expect(href).toMatch(/^https?:\/\//);
      }),
    );
  });

  it("shows who is mentioned, the longer name first", () => {
    expect(html("hi @Ada L and @Ada", ["Ada", "Ada L"])).toContain(
      'hi <mark class="mention"><bdi>@Ada L</bdi></mark> and <mark class="mention"><bdi>@Ada</bdi></mark>',
    );
  });
});

describe("a draft", () => {
  const people = new Map([["m1", "Ada"], ["m2", "王小明"], ["m3", "adam"]]);

  it("is as long as the server counts", () => {
    expect([byteLength("abc"), byteLength("茶馆"), byteLength("👍")]).toEqual([3, 6, 4]);
  });

  it.each([
    ["hi @A", 5, "A"],
    ["@", 1, ""],
    ["mail a@b", 8, null],
    ["hi @Ada there", 13, null],
    ["你好 @王", 5, "王"],
  ])("%j at %d begins the name %j", (text, caret, expected) => {
    expect(mentionAt(text, caret)).toBe(expected);
  });

  it("offers names, but not one's own, and knows who is meant", () => {
    expect(namesFor("a", people, "m3")).toEqual([["m1", "Ada"]]);
    expect(mentionsIn("@王小明 and @Ada", people)).toEqual(["m1", "m2"]);
  });
});

describe("lines", () => {
  const line = (seq: number, change: Record<string, unknown> = {}) => {
    const entry = parseEntry({ seq, verb: "message", from: "m1", name: "Ada", at_ms: seq * 1000, body: { text: "x" }, ...change });
    if (entry === null) throw new Error("no entry");
    return lineOf(EMPTY, entry, 0);
  };

  it("go on under one name for a while", () => {
    expect(continuesLine(line(2), line(1))).toBe(true);
    expect(continuesLine(line(2), undefined)).toBe(false);
    expect(continuesLine(line(500), line(1))).toBe(false);
    expect(continuesLine(line(2, { from: "m2" }), line(1))).toBe(false);
    expect(continuesLine(line(2, { to: "m2" }), line(1))).toBe(false);
    expect(continuesLine(line(2), line(1, { verb: "came", body: {} }))).toBe(false);
  });

  it("are one together where their time is over, and each for itself where somebody removed it", () => {
    const lines = [line(1), line(2, { body: null }), line(3, { body: null }), line(4, { verb: "came", body: null }), line(5, { body: null })];
    expect(rowsOf(lines).map(({ line: { entry }, before, gone }) => [entry.seq, before?.entry.seq, gone])).toEqual([
      [1, undefined, 0], [2, 1, 2], [4, 3, 0], [5, 4, 1],
    ]);
    const removed = { ...line(2, { body: null }), over: false };
    expect(rowsOf([line(1), removed]).map(({ gone }) => gone)).toEqual([0, 0]);
  });

  it("are read by those who got so far and no further, except by who said it", () => {
    const lines = [line(1), line(2, { from: "m2" }), line(3, { verb: "came", body: {} }), line(4)];
    const reads = [["m3", 3], ["m1", 4], ["m2", 2], ["me", 4], ["m4", 9], ["m5", 0]] as const;
    const marks = reads.map(([member, seq]) => ({ member, name: `name of ${member}`, seq }));
    expect([...readersOf(lines, marks, "me")]).toEqual([["2", ["name of m3"]], ["4", ["name of m4"]]]);
  });

  it("have the name that somebody had, or has now", () => {
    const people = new Map([["m1", "Ada L"]]);
    expect([nameOf(line(1).entry, people, "?"), nameOf(line(1, { name: "" }).entry, people, "?")]).toEqual(["Ada", "Ada L"]);
    expect(nameOf(line(1, { name: "", from: "m9" }).entry, people, "?")).toBe("?");
  });
});
