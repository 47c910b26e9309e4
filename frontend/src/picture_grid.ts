/** Pictures to click. */
import { component, element, placed, set, write } from "./component";
import styles from "./picture_grid.css";

interface Choice {
  name: string;
  picture: string;
  title: string;
  text: string;
}

interface Data {
  label: string;
  choices: Choice[];
}

export default component<Data>((place, tell) => {
  const grid = element("div", { class: "nero grid", role: "group" });
  const out = placed(place, styles, grid);
  let shown: Choice[] = [];

  const button = (at: number): HTMLElement => {
    const picture = element("img", { decoding: "async" });
    const made = element("button", { type: "button" }, picture, element("strong"), element("span"));
    made.addEventListener("click", () => tell.event("chosen", shown[at]?.name));
    return made;
  };

  return {
    update({ label, choices }) {
      shown = choices;
      set(grid, "aria-label", label);
      while (grid.children.length > choices.length) grid.lastElementChild?.remove();
      while (grid.children.length < choices.length) grid.append(button(grid.children.length));
      choices.forEach((choice, at) => {
        const [picture, title, text] = grid.children[at]!.children as unknown as [Element, Element, Element];
        set(picture, "src", choice.picture);
        set(picture, "alt", "");
        write(title, choice.title);
        write(text, choice.text);
      });
    },
    remove: out,
  };
});
