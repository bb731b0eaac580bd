import { useRef } from 'preact/hooks';
import { texts } from '../texts.js';
import { close, toasts, type Toast } from '../toasts.js';
import { useLeaving } from './leaving.js';

/** What happened lately, read aloud: errors at once, the others when there is time. */
export function ToastList() {
  const all = toasts.value;
  return (
    <div class="toasts">
      <div role="alert">
        {all
          .filter(({ isError }) => isError)
          .map((toast) => (
            <Message key={toast.id} toast={toast} />
          ))}
      </div>
      <div role="status">
        {all
          .filter(({ isError }) => !isError)
          .map((toast) => (
            <Message key={toast.id} toast={toast} />
          ))}
      </div>
    </div>
  );
}

function Message({ toast }: { readonly toast: Toast }) {
  const { id, text, isError, action } = toast;
  const element = useRef<HTMLDivElement>(null);
  useLeaving(element, isError ? undefined : () => close(id), [id, isError]);
  return (
    <div ref={element} class={isError ? 'toast error' : 'toast'}>
      <p>
        {isError && <strong>{texts.errors.word} </strong>}
        {text}
      </p>
      {action && (
        <button
          type="button"
          onClick={() => {
            close(id);
            action.run();
          }}
        >
          {action.label}
        </button>
      )}
      <button type="button" class="quiet" aria-label={texts.closeMessage} onClick={() => close(id)}>
        <span aria-hidden="true">×</span>
      </button>
    </div>
  );
}
