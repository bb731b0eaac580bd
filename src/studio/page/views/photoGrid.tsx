import { useSignal, type ReadonlySignal, type Signal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { thumbnailOf } from '../client.js';
import { inFull } from '../formatting.js';
import { LazyImage } from '../parts/lazyImage.js';
import { nameOf, photos, photosOf, selected } from '../photoStore.js';
import { texts } from '../texts.js';
import { handleKey, selectUntil, toggle, type GridKeys } from './gridKeys.js';
import { PhotoDialog } from './photoDialog.js';

/** A thumbnail is at least so wide, in CSS pixels. */
const NARROWEST = 112;
/** Rows above and below what is seen. */
const SPARE_ROWS = 2;

/** All photos of a class, of which the page holds only the rows that are seen. */
export function PhotoGrid({ name }: { readonly name: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const active = useSignal(0);
  const anchor = useRef(0);
  const wantsFocus = useRef(false);
  const opened = useSignal<number | undefined>(undefined);
  const isThere = photosOf.value === name;
  const isEmpty = photos.value.length === 0;
  const { layout, measure } = useGridLayout(scroller, [isThere, isEmpty]);
  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    if (scroller.current) focusActive(scroller.current);
  });

  const { keys, click } = useHandlers(name, { scroller, active, anchor, wantsFocus, opened, layout, measure });

  const words = texts.photos;
  if (!isThere) return <p role="status">{words.loading}</p>;
  if (isEmpty) return <p class="empty">{words.empty}</p>;

  const { columns, side, first, last } = layout.value;
  const rows = Math.ceil(photos.value.length / columns);
  const activePlace = Math.min(active.value, photos.value.length - 1);
  return (
    <>
      <div class="grid-box" ref={scroller} onScroll={measure}>
        <div
          class="grid"
          style={{ height: `${rows * side}px` }}
          role="grid"
          aria-label={words.photosOf(name, inFull(photos.value.length))}
          aria-multiselectable
          aria-rowcount={rows}
          aria-colcount={columns}
          onKeyDown={(event) => handleKey(event, keys)}
        >
          {rowsShown(first, Math.min(last, rows - 1), Math.floor(activePlace / columns)).map((row) => (
            <Row
              key={row}
              {...{ row, columns, side }}
              activeColumn={Math.floor(activePlace / columns) === row ? activePlace % columns : undefined}
              onClick={click}
              onOpen={keys.open}
            />
          ))}
        </div>
      </div>
      <p class="note">{words.keys}</p>
      {opened.value !== undefined && (
        <PhotoDialog
          place={opened.value}
          onPlace={(place) => (opened.value = place)}
          onClose={() => (opened.value = undefined)}
        />
      )}
    </>
  );
}

interface GridParts {
  readonly scroller: RefObject<HTMLElement | null>;
  readonly active: Signal<number>;
  readonly anchor: { current: number };
  readonly wantsFocus: { current: boolean };
  readonly opened: Signal<number | undefined>;
  readonly layout: ReadonlySignal<GridLayout>;
  readonly measure: () => void;
}

/** What keys and clicks do: the same for as long as the grid is there, so that rows that stay while one scrolls are not drawn anew. */
const useHandlers = (name: string, parts: GridParts) => useMemo(() => handlersOf(name, parts), []);

function handlersOf(name: string, { scroller, active, anchor, wantsFocus, opened, layout, measure }: GridParts) {
  const goTo = (place: number) => {
    const { columns, side } = layout.peek();
    const box = scroller.current;
    const next = Math.min(photos.peek().length - 1, Math.max(0, place));
    const isSame = next === active.peek();
    wantsFocus.current = !isSame;
    active.value = next;
    if (!box) return;
    bringIntoView(box, Math.floor(next / columns) * side, side);
    measure();
    if (isSame) focusActive(box);
  };
  const keys: GridKeys = {
    name,
    place: () => Math.min(active.peek(), photos.peek().length - 1),
    columns: () => layout.peek().columns,
    rowsSeen: () => Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / layout.peek().side)),
    anchor,
    goTo,
    open: (place) => (opened.value = place),
  };
  const click = (place: number, event: MouseEvent) => {
    goTo(place);
    if (event.shiftKey) selectUntil(anchor.current, place);
    else {
      anchor.current = place;
      toggle(place);
    }
  };
  return { keys, click };
}

interface GridLayout {
  readonly columns: number;
  readonly side: number;
  readonly first: number;
  readonly last: number;
}

/** How many columns there are, how large a thumbnail is, and which rows are seen; measured anew when `inputs` change. */
function useGridLayout(scroller: RefObject<HTMLElement | null>, inputs: readonly unknown[]) {
  const layout = useSignal<GridLayout>({ columns: 1, side: NARROWEST, first: 0, last: 0 });
  const measure = () => {
    const box = scroller.current;
    if (!box) return;
    const columns = Math.max(1, Math.floor(box.clientWidth / NARROWEST));
    const side = box.clientWidth / columns;
    const first = Math.max(0, Math.floor(box.scrollTop / side) - SPARE_ROWS);
    const last = Math.ceil((box.scrollTop + box.clientHeight) / side) + SPARE_ROWS;
    const old = layout.peek();
    if (old.columns !== columns || old.side !== side || old.first !== first || old.last !== last)
      layout.value = { columns, side, first, last };
  };
  useEffect(() => {
    const box = scroller.current;
    if (!box) return undefined;
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(box);
    return () => watch.disconnect();
  }, inputs);
  return { layout, measure };
}

/** Scrolls no further than it takes to see a row. */
function bringIntoView(box: HTMLElement, top: number, side: number): void {
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + side > box.scrollTop + box.clientHeight) box.scrollTop = top + side - box.clientHeight;
}

function focusActive(box: HTMLElement): void {
  box.querySelector<HTMLElement>('[role=gridcell][tabindex="0"]')?.focus({ preventScroll: true });
}

/** Those that are seen, and the one that has the focus, which would be lost with it. */
function rowsShown(first: number, last: number, active: number): number[] {
  const rows = Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
  if (active < first) return [active, ...rows];
  return active > last ? [...rows, active] : rows;
}

interface RowProps {
  readonly row: number;
  readonly columns: number;
  readonly side: number;
  /** Where the focus is, or would be; undefined where that is in another row. */
  readonly activeColumn: number | undefined;
  readonly onClick: (place: number, event: MouseEvent) => void;
  readonly onOpen: (place: number) => void;
}

function Row({ row, columns, side, activeColumn, onClick, onOpen }: RowProps) {
  const shown = photos.value.slice(row * columns, (row + 1) * columns);
  const [height, transform] = [`${side}px`, `translateY(${row * side}px)`];
  return (
    <div class="grid-row" role="row" aria-rowindex={row + 1} style={{ height, transform }}>
      {shown.map((photo, column) => {
        const place = row * columns + column;
        const isSelected = selected.value.has(photo.path);
        return (
          <div
            key={photo.path}
            class="cell"
            role="gridcell"
            aria-colindex={column + 1}
            aria-selected={isSelected}
            aria-label={texts.photos.photo(nameOf(photo), photo.split)}
            tabIndex={column === activeColumn ? 0 : -1}
            style={{ width: height }}
            onClick={(event) => onClick(place, event)}
            onDblClick={() => onOpen(place)}
          >
            <LazyImage src={thumbnailOf(photo)} alt="" isNear />
            {photo.split !== 'train' && (
              <span class="badge" aria-hidden="true">
                {texts.photos.splits[photo.split]}
              </span>
            )}
            {isSelected && (
              <span class="tick" aria-hidden="true">
                ✓
              </span>
            )}
          </div>
        );
      })}
    </div>
  );
}
