/** What is still to be undone, in the order in which it was registered. */
const tasks = new Set<() => void>();

/**
 * Has `undo` called when the process ends before the function that is given back was called: a temporary file to be removed, a lock to be
 * released, a child to be ended. It runs within `process.exit`, so it must be synchronous; an error that it throws is dropped. SIGKILL
 * leaves no time for it: what reads the place later must be able to tell.
 */
export function onExit(undo: () => void): () => void {
  if (tasks.size === 0) process.once('exit', undoAll);
  tasks.add(undo);
  return () => {
    tasks.delete(undo);
    if (tasks.size === 0) process.off('exit', undoAll);
  };
}

/** The last first: what was opened later may lie in what was made before. */
function undoAll(): void {
  for (const undo of [...tasks].reverse()) {
    try {
      undo();
    } catch {
      // The others are to be undone all the same.
    }
  }
}
