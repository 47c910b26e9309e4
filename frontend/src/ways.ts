/** How a layer is shown, as a group of radio buttons: one stop for Tab, arrow keys within. */
import { element, set, write } from "./component";

export type Way = "outline" | "fade" | "wipe" | "off";
const WAYS: readonly Way[] = ["outline", "fade", "wipe", "off"];

export class Ways {
  readonly group = element("div", { class: "ways", role: "radiogroup" });
  private readonly radios = WAYS.map((way) => {
    const radio = element("button", { type: "button", role: "radio" });
    radio.addEventListener("click", () => this.choose(way));
    return radio;
  });

  constructor(private readonly choose: (way: Way) => void) {
    this.group.append(...this.radios);
    this.group.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      const at = this.radios.indexOf(event.target as HTMLButtonElement);
      if (step === undefined || at < 0) return;
      event.preventDefault();
      const to = (at + step + WAYS.length) % WAYS.length;
      this.choose(WAYS[to]!);
      this.radios[to]!.focus();
    });
  }

  name(title: string, words: Record<Way, string>): void {
    set(this.group, "aria-label", title);
    this.radios.forEach((radio, at) => write(radio, words[WAYS[at]!]));
  }

  show(way: Way): void {
    this.radios.forEach((radio, at) => {
      set(radio, "aria-checked", String(WAYS[at] === way));
      radio.tabIndex = WAYS[at] === way ? 0 : -1;
    });
  }
}
