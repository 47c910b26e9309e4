/** Where the terms of the glossary stand in the text of the page. */

export interface Term {
  name: string;
  /** The name and its others. */
  spellings: string[];
  meaning: string;
}

/** A term at a place of the page. */
export interface Found {
  term: Term;
  text: Text;
  start: number;
  end: number;
}

/**
 * Within these nothing is looked for: what is written or named by the user, what is typed, pressed or drawn, and the title
 * of the page. Names of classes are emphasised; those of files stand in plain text elements and in what uploads them.
 */
const LEFT_ALONE = [
  ...["input", "textarea", "select", "[contenteditable]", "button", "a", "[role=tab]", "[role=option]", "[role=radio]"],
  ...["h1", "code", "pre", "svg", "canvas", "table", "style", "script", ".katex", ".js-plotly-plot", "em"],
  ...["[data-testid=stText]", "[data-testid=stFileUploader]", "[data-testid=stDataFrame]", "[data-testid=stIconMaterial]"],
  ...["[data-testid=stSelectbox] [data-baseweb]", "[data-testid=stMultiSelect] [data-baseweb]", "[hidden]"],
  ".st-key-all-words", // the list of all terms
].join();
/** A term is marked where it comes first in one of these. */
const BLOCKS = "[data-testid=stElementContainer], summary";

/** What is looked for, from terms and their spellings. */
export class Vocabulary {
  private readonly exact = new Map<string, Term>();
  private readonly loose = new Map<string, Term>();
  private readonly pattern: RegExp | null;

  constructor(terms: readonly Term[]) {
    for (const term of terms)
      for (const spelling of term.spellings)
        (asWritten(spelling) ? this.exact : this.loose).set(spelling, term);
    const all = [...[...this.exact.keys()].map(quoted), ...[...this.loose.keys()].map(anyCase)];
    const longestFirst = all.sort((a, b) => b.length - a.length).join("|");
    // A term within a name, such as that of a file, is none.
    this.pattern = all.length ? new RegExp(`(?<![\\p{L}\\p{N}_/.\\\\])(?:${longestFirst})(?![\\p{L}\\p{N}_/\\\\]|[.][\\p{L}\\p{N}])`, "gu") : null;
  }

  /** Every term in what can be read within an element, where it comes first in its block. */
  within(root: Element): Found[] {
    const found: Found[] = [];
    const seen = new Map<Element, Set<Term>>();
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) =>
      node.nodeType === Node.TEXT_NODE
        ? NodeFilter.FILTER_ACCEPT
        : (node as Element).matches(LEFT_ALONE)
          ? NodeFilter.FILTER_REJECT
          : NodeFilter.FILTER_SKIP,
    );
    while (this.pattern && walker.nextNode()) {
      const text = walker.currentNode as Text;
      for (const match of text.data.matchAll(this.pattern)) {
        const term = this.termOf(match[0]);
        const block = text.parentElement?.closest(BLOCKS) ?? root;
        const there = seen.get(block) ?? new Set();
        if (!term || there.has(term)) continue;
        seen.set(block, there.add(term));
        found.push({ term, text, start: match.index, end: match.index + match[0].length });
      }
    }
    return found;
  }

  private termOf(text: string): Term | undefined {
    const spelling = text.replace(/\s+/g, " ");
    return this.exact.get(spelling) ?? this.loose.get(spelling.toLowerCase());
  }
}

/** Whether nothing to be marked can be in what this node is part of. */
export function isLeftAlone(node: Node): boolean {
  const element = node instanceof Element ? node : node.parentElement;
  return element?.closest(LEFT_ALONE) != null;
}

/** Abbreviations, names and single letters: "ID" is no "id". */
function asWritten(spelling: string): boolean {
  return [...spelling].length === 1 || spelling !== spelling.toLowerCase();
}

function quoted(spelling: string): string {
  return spelling.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&").replace(/ /g, "\\s+");
}

/** Letter by letter, as a flag would hold for the abbreviations beside it, too. */
function anyCase(spelling: string): string {
  return [...spelling].map((letter) => (/\p{L}/u.test(letter) ? `[${letter}${letter.toUpperCase()}]` : quoted(letter))).join("");
}
