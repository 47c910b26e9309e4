// Every target with its size, the levels of all headings, and, where asked for, everything that takes the focus with the
// colour of its outline and what is behind it.
async focused => {
  const pixel = Object.assign(document.createElement('canvas'), {width: 1, height: 1});
  const canvas = pixel.getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const hex = rgb => '#' + rgb.slice(0, 3).map(v => Math.round(v).toString(16).padStart(2, '0')).join('');
  const above = element => element.parentElement ?? element.getRootNode().host ?? null;
  const behind = element => {  // the opaque colour that is seen behind what an element writes
    let seen = [0, 0, 0, 0];
    for (let e = element; e && seen[3] < 255; e = above(e)) {
      const under = rgba(getComputedStyle(e).backgroundColor), a = seen[3] / 255, b = under[3] / 255 * (1 - a);
      if (b > 0) seen = [0, 1, 2].map(i => (seen[i] * a + under[i] * b) / (a + b)).concat(255 * (a + b));
    }
    return hex(seen);
  };
  // Also what components have in their shadows.
  const all = root => [...root.querySelectorAll('*')].flatMap(e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
  const seen = e => e.checkVisibility({opacityProperty: false, visibilityProperty: true}) && e.getClientRects().length > 0;
  const inside = e => {
    const names = [];
    for (let n = e; n; n = above(n)) {
      const name = n.dataset?.testid ?? [...n.classList].find(c => c.startsWith('st-key-') || c === 'modebar-btn');
      if (name) names.unshift(name);
    }
    return names.slice(-4).join(' > ') + ' > ' + e.outerHTML.slice(0, 160).replace(/\s+/g, ' ');
  };
  const pressed = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button], [role=tab], ' +
    '[role=radio], [role=checkbox], [role=switch], [role=slider], [role=option], [role=menuitem]';
  const width = e => e ? e.getBoundingClientRect().width : 0;
  const forReaders = e => width(e) <= 2 || width(above(e)) <= 2;  // cut to a point: what is seen and pressed is around it
  const within = e => e.closest('label, [data-rac]');
  const size = e => {
    const {width, height} = (forReaders(e) ? within(e) ?? e : e).getBoundingClientRect();
    return [Math.round(10 * width) / 10, Math.round(10 * height) / 10];
  };
  const able = e => !e.disabled && e.getAttribute('aria-disabled') !== 'true' && !e.closest('[inert], [aria-hidden=true]');
  const inText = e => e.matches('p a, li a');
  const elements = all(document.body).filter(e => seen(e) && able(e));
  const targets = elements.filter(e => e.matches(pressed) && !inText(e) && !(forReaders(e) && !within(e)))
    .map(e => [inside(e), ...size(e)]);
  const frame = () => new Promise(requestAnimationFrame);
  const ringed = async e => {
    e.focus({preventScroll: true});
    await frame(); await frame();  // React marks some a frame later
    let at = document.activeElement, ring = null;  // a group may hand the focus to another of its members
    while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    for (let n = at === document.body ? e : at, steps = 0; n && steps < 6 && !ring; n = above(n), steps++) {
      const {outlineStyle, outlineWidth} = getComputedStyle(n);
      if (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 && !forReaders(n)) ring = n;
    }
    if (!ring) return [inside(e), null, null];
    const {outlineColor, outlineOffset, outlineWidth} = getComputedStyle(ring);
    const inner = parseFloat(outlineOffset) <= -parseFloat(outlineWidth);
    return [inside(e), hex(rgba(outlineColor)), behind(inner ? ring : above(ring))];
  };
  const headings = elements.filter(e => e.matches('h1, h2, h3, h4, h5, h6, [role=heading]'))
    .map(e => [e.innerText.trim(), Number(e.ariaLevel ?? e.tagName[1])]);
  const rings = [];
  if (focused) {
    const takes = elements.filter(e => e.tabIndex >= 0 && e.matches(pressed + ', [tabindex]'));
    for (const e of takes) rings.push(await ringed(e));
    document.activeElement?.blur();
  }
  return {targets, headings, rings};
}
