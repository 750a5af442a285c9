// Building and changing the page. Text always goes in as text: nothing here parses markup, so that no name which came over the
// network can become an element.

export type Child = Node | string | null | undefined | false;
type Value = string | number | boolean | null | undefined | ((event: Event) => void);
export type Attributes = Record<string, Value>;

const SVG = 'http://www.w3.org/2000/svg';

/** An HTML element. A function is a listener of the event which its key names; `true` is an attribute without a value. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  dress(element, attributes, children);
  return element;
}

export function svg<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  dress(element, attributes, children);
  return element;
}

function dress(element: Element, attributes: Attributes, children: Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else setAttribute(element, name, value);
  }
  element.append(...children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false));
}

/** Writes only what differs: the page is refreshed every second and most of it stays as it was. */
export function setAttribute(element: Element, name: string, value: string | number | boolean | null | undefined): void {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else {
    const text = value === true ? '' : String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element: HTMLElement, visible: boolean): void {
  if (element.hidden === visible) element.hidden = !visible;
}

/** The element with this id of index.html; that it is there is a fact of the build, not of the run. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html lacks #${id}`);
  return element;
}

export interface Row {
  readonly element: HTMLElement;
}

/** Rows kept by key across refreshes, so that what is open stays open and what has the focus keeps it. */
export class KeyedRows<Item, R extends Row> {
  private rows = new Map<string, R>();

  constructor(
    private readonly parent: HTMLElement,
    private readonly create: (item: Item) => R,
    private readonly update: (row: R, item: Item) => void,
  ) {}

  set(items: readonly Item[], keyOf: (item: Item) => string): void {
    const wanted = new Map(items.map((item) => [keyOf(item), item]));
    // What is gone goes first: then those that stay are in place already and need not be moved, which would cost them the focus.
    for (const [key, row] of this.rows) {
      if (!wanted.has(key)) row.element.remove();
    }
    const kept = new Map<string, R>();
    let place: Element | null = this.parent.firstElementChild;
    for (const [key, item] of wanted) {
      const row = this.rows.get(key) ?? this.create(item);
      kept.set(key, row);
      this.update(row, item);
      if (row.element === place) place = place.nextElementSibling;
      else this.parent.insertBefore(row.element, place);
    }
    this.rows = kept;
  }
}
