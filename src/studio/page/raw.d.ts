/** The text of a page of documentation, which vite puts in. */
declare module '*.md?raw' {
  const text: string;
  export default text;
}
declare module '*.css';
/** Where a picture lies. */
declare module '*.svg' {
  const address: string;
  export default address;
}
