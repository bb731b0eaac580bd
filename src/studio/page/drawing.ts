/** No picture is shown larger, in pixels a side. */
const LARGEST_SIDE = 800;

/**
 * Draws a picture on a canvas that takes its shape. A canvas asks for nothing that the page's Content-Security-Policy would have to allow.
 * @throws where this browser cannot decode it.
 */
export async function drawOn(canvas: HTMLCanvasElement, picture: Blob): Promise<void> {
  const decoded = await createImageBitmap(picture);
  const scale = Math.min(1, LARGEST_SIDE / Math.max(decoded.width, decoded.height));
  [canvas.width, canvas.height] = [Math.round(decoded.width * scale), Math.round(decoded.height * scale)];
  canvas.getContext('2d')?.drawImage(decoded, 0, 0, canvas.width, canvas.height);
  decoded.close();
}

/** The bytes of a data URL. */
export function pictureOf(dataUrl: string): Blob {
  const comma = dataUrl.indexOf(',');
  const type = /^data:([^;,]*)/.exec(dataUrl)?.[1] ?? '';
  const bytes = Uint8Array.from(atob(dataUrl.slice(comma + 1)), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type });
}
