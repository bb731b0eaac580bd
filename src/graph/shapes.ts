import { elementCount } from '../onnx/tensor.js';
import type { DType } from '../onnx/tensor.js';
import { type Dim, type Graph, type Node, type Shape, sameDim, describe, showShape, type Value } from './graph.js';

const rules: Record<string, (n: Node) => Shape> = {
  Conv: conv, MaxPool: pool, AveragePool: pool,
  ConvTranspose: (n) => { const x=S(n,0),w=C(n,1);const k=w.slice(2);const g=convGeometry(n);const op=n.ints('output_padding')??k.map(()=>0);
    return [x[0]!, w[1]!*g.group, ...k.map((kk,i)=>((x[i+2] as number)-1)*g.strides[i]!+(kk-1)*g.dilations[i]!+1-g.pads[i]!-g.pads[i+k.length]!+op[i]!)]; },
  GlobalAveragePool: (n) => [...S(n,0).slice(0,2), ...S(n,0).slice(2).map(()=>1)],
  Gemm: (n) => { const a=S(n,0), b=S(n,1); return [n.int('transA',0)?a[1]!:a[0]!, n.int('transB',0)?b[0]!:b[1]!]; },
  MatMul: (n) => { const a=S(n,0), b=S(n,1); return [...a.slice(0,-1), b.at(-1)!]; },
  Flatten: (n) => { const x=S(n,0); return [x[0]!, prod(x.slice(1))]; },
  Reshape: (n) => { const x=S(n,0); const t=V(n,1).map((d,i)=>d===0?x[i]!:d); const i=t.indexOf(-1); if(i<0) return t;
    const rest=prod(t.filter((_,j)=>j!==i)); const total=prod(x); return t.map((d,j)=>j===i?div(total,rest):d); },
  Transpose: (n) => { const x=S(n,0); return (n.ints('perm')??[]).map((p)=>x[p]!); },
  Expand: (n) => V(n,1),
  Concat: (n) => { const ax=(n.int('axis',0)+S(n,0).length)%S(n,0).length; return S(n,0).map((d,i)=>i===ax? n.inputs.reduce((s,v)=>s+(v!.shape![i] as number),0):d); },
  Squeeze: (n) => { const ax=V(n,1); return S(n,0).filter((_,i)=>!ax.includes(i)); },
  Unsqueeze: (n) => { const r=[...S(n,0)]; for(const a of [...V(n,1)].sort()) r.splice(a,0,1); return r; },
  Slice: (n) => { const r=[...S(n,0)]; const st=V(n,1),en=V(n,2),ax=V(n,3),sp=n.inputs[4]?V(n,4):ax.map(()=>1);
    ax.forEach((a,i)=>{const d=r[a] as number; const c=(v:number)=>v<0?Math.max(v+d,sp[i]!<0?-1:0):Math.min(v,sp[i]!<0?d-1:d); r[a]=Math.max(0,Math.ceil((c(en[i]!)-c(st[i]!))/sp[i]!));}); return r; },
  Pad: (n) => { const p=V(n,1); const x=S(n,0); return x.map((d,i)=>(p[i]!+p[i+x.length]!)===0?d:(d as number)+p[i]!+p[i+x.length]!); },
  OneHot: (n) => [...S(n,0), V(n,1)[0]!],
  ReduceSum: reduce, ReduceMean: reduce, ReduceMax: reduce,
  ScatterElements: (n)=>S(n,0),
};
function S(n: Node, i: number): Shape { const s=n.input(i).shape; if(!s) throw new Error(`${describe(n)}: no shape of ${n.input(i).name}`); return s; }
function C(n: Node, i: number): number[] { return S(n,i) as number[]; }
function V(n: Node, i: number): number[] { return Array.from(n.input(i).constant!.data as BigInt64Array, Number); }
function prod(s: Shape): Dim { let b=0,k=1; for(const d of s){ if(typeof d==='number') k*=d; else {k*=d.batch;b++;} } return b?{batch:k}:k; }
function div(a: Dim, b: Dim): Dim { if(typeof a==='number'&&typeof b==='number') return a/b; if(typeof a!=='number'&&typeof b==='number') return {batch:a.batch/b}; if(typeof a!=='number'&&typeof b!=='number') return a.batch/b.batch; throw new Error('dim'); }
function reduce(n: Node): Shape { const x=S(n,0); const ax=(n.inputs[1]?V(n,1):n.ints('axes')??x.map((_,i)=>i)).map((a)=>a<0?a+x.length:a); const k=n.int('keepdims',1); return x.flatMap((d,i)=>ax.includes(i)?(k?[1]:[]):[d]); }
function pool(n: Node): Shape { const x=S(n,0); const g=convGeometry(n); return [x[0]!,x[1]!,...g.kernel.map((k,i)=>Math.floor(((x[i+2] as number)+g.pads[i]!+g.pads[i+g.kernel.length]!-g.dilations[i]!*(k-1)-1)/g.strides[i]!)+1)]; }
function conv(n: Node): Shape { const p=pool(n); return [p[0]!, S(n,1)[0]!, ...p.slice(2)]; }
export function convGeometry(n: Node) { const kernel=[...(n.ints('kernel_shape')??C(n,1).slice(2))]; const one=kernel.map(()=>1);
  return { kernel, strides:[...(n.ints('strides')??one)], dilations:[...(n.ints('dilations')??one)], pads:[...(n.ints('pads')??[...kernel,...kernel].map(()=>0))], group:n.int('group',1) }; }
const binary=new Set(['Add','Sub','Mul','Div','Pow','Equal','Greater','Less','And','Where','Min','Max','GreaterOrEqual','LessOrEqual']);
const bool=new Set(['Equal','Greater','Less','And','Or','Not','GreaterOrEqual','LessOrEqual']);
function broadcast(n: Node): Shape { const ss=n.inputs.map((v)=>v!.shape!); const r=Math.max(...ss.map((s)=>s.length)); return Array.from({length:r},(_,i)=>{ let d:Dim=1; for(const s of ss){const e=s[i-(r-s.length)]; if(e===undefined||e===1)continue; if(d===1)d=e; else if(!sameDim(d,e)) throw new Error(`${describe(n)}: ${ss.map(showShape).join()}`);} return d;}); }
export function inferNode(n: Node): void {
  const shape = n.inputs.some((v)=>v&&!v.shape)? undefined : binary.has(n.op)?broadcast(n):(rules[n.op]?.(n) ?? n.inputs[0]?.shape);
  n.outputs.forEach((o,i)=>{ if(!o)return; if (shape) o.shape=shape; const from=n.op==='Where'?n.inputs[1]:n.op==='OneHot'?n.inputs[2]:n.inputs[0];
    o.dtype = bool.has(n.op)?'bool':i===1&&n.op==='MaxPool'?'int64':n.op==='Cast'?(({1:'float32',7:'int64',9:'bool'} as Record<number,DType>)[n.int('to',1)]):from?.dtype; });
}
export function inferGraph(g: Graph): void { for(const n of g.nodes) inferNode(n); }
export function knownDims(_: Graph): Map<Value, readonly Dim[]> { return new Map(); }
export { elementCount };
