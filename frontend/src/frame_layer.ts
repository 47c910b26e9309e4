/** A heatmap for the viewer of its channel; nothing is seen where it is mounted. */
import { component, unseen } from "./component";
import { channel, type Layer } from "./layers";

export default component<Layer>((place) => {
  const back = unseen(place);
  let here: Layer | null = null;
  const drop = (): void => {
    if (here) channel(here.channel).drop(here);
  };
  return {
    update(layer) {
      if (here && (here.channel !== layer.channel || here.name !== layer.name)) drop();
      here = layer;
      channel(layer.channel).add(layer);
    },
    remove() {
      drop();
      back();
    },
  };
});
