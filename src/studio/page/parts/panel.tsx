import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { texts } from '../texts.js';

interface PanelProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** A part of a view that was opened, and can be closed. */
export function Panel({ title, onClose, children }: PanelProps) {
  const id = useId();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <section class="card" aria-labelledby={id}>
      <header class="row">
        <h3 id={id} ref={heading} tabIndex={-1}>
          {title}
        </h3>
        <span class="gap" />
        <button type="button" class="quiet" onClick={onClose}>
          {texts.close}
        </button>
      </header>
      {children}
    </section>
  );
}
