import { roleOf } from '../splitNames.js';
import type { Folder } from '../tree.js';

const PICTURES = /^(images?|imgs?|jpegimages|leftimg8bit|pictures|pics|photos)([ _-]?\d+)?$/i;
const LABELS = /^(labels?|lbls?|annotations?|ann(o|ot)?s?|xmls?|bboxes|txts?)([ _-]?(xmls?|txts?|\d+))?$/i;
const MASKS =
  /^(masks?|labels?|annotations?|ann(o|ot)?s?|ground[ _-]?truths?|gt(fine|coarse)?s?|segmentations?|segmentation(class|object))([ _-]?\d+)?$/i;
/** What sets for detection have beside their pictures. */
const DETECTION_FILES =
  /(coco\.json|^_annotations\.(txt|csv)|^_darknet\.labels|^instances_.*\.json|^data\.ya?ml|\.names)$/i;

/** What a folder with pictures and their labels apart is for; undefined where it may be a classifier's. */
export function otherTaskOf(folder: Folder): string | undefined {
  const pictures = folder.full.find(({ name }) => PICTURES.test(name));
  if (!pictures) return undefined;
  const isFlat = pictures.full.every(({ name, full }) => roleOf(name) !== undefined && full.length === 0);
  if (!isFlat && !/^leftimg8bit$/i.test(pictures.name)) return undefined;
  const others = folder.full.filter((each) => each !== pictures);
  const [mask] = others;
  if (mask && others.every(({ name }) => MASKS.test(name))) return `segmentation (${pictures.name}/ and ${mask.name}/)`;
  const labels = labelsIn(folder);
  if (!labels) return undefined;
  const count = [...labels.othersBelow.values()].reduce((sum, each) => sum + each, 0);
  // There is a label for each photo, or nearly so, whatever stands beside them.
  const isDetection = others.length === 0 || count > pictures.photosBelow / 2;
  return isDetection ? `detection (${pictures.name}/ and ${labels.name}/)` : undefined;
}

/** The folder in this one that holds labels, and no photos. */
export function labelsIn(folder: Folder): Folder | undefined {
  return [...folder.folders.values()].find(
    (each) =>
      LABELS.test(each.name) &&
      each.photosBelow === 0 &&
      ['.txt', '.xml', '.json', '.csv'].some((kind) => each.othersBelow.has(kind)),
  );
}

/** What tells that photos which lie in no class folders are for detection. */
export function detectionFileIn({ otherNames, others, photos: { length } }: Folder): string | undefined {
  const named = otherNames.find((name) => DETECTION_FILES.test(name));
  const perPhoto = ['.txt', '.xml'].find((kind) => (others.get(kind) ?? 0) > Math.max(1, length / 2));
  return named ?? (perPhoto && `${others.get(perPhoto) ?? 0} ${perPhoto}`);
}
