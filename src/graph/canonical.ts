import type { Graph } from './graph.js';
export function canonicalize(g: Graph): void { g.opset=Math.max(18,g.opset); }
