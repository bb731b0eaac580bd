import { sharp } from './sharp.js';

/** An SVG drawing as PNG on white, `scale` times as large; what has the colour of the text around it is nearly black. */
export async function pngOfSvg(svg: string, scale = 2): Promise<Buffer> {
  const drawing = svg.replace(/<svg /, (tag) => `${tag}color="#222222" `);
  // CSS pixels are counted 96 to the inch.
  return sharp(Buffer.from(drawing), { density: 96 * scale })
    .flatten({ background: '#ffffff' })
    .png({ compressionLevel: 9, palette: true })
    .toBuffer();
}
