/** What is told of a photo: one of the classes, or any number of labels. */
export const tasks = ['classes', 'labels'] as const;
export type Task = (typeof tasks)[number];

/** From which probability on an image has a label where nobody found a better one. */
export const USUAL_THRESHOLD = 0.5;
