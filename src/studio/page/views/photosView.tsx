import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { watchPhotos } from '../photoStore.js';
import { addClass } from '../photoWork.js';
import { chosenClass } from '../routes.js';
import { classes, places } from '../state.js';
import { texts } from '../texts.js';
import { BinPanel } from './binPanel.js';
import { CameraPanel } from './cameraPanel.js';
import { ClassColumn, type PhotoTool } from './classColumn.js';
import { ClassTools } from './classTools.js';
import { PhotoGrid } from './photoGrid.js';
import { SelectionBar } from './selectionBar.js';
import { SurveyPanel } from './surveyPanel.js';

/** Classes on one side, the photos of the chosen one on the other. */
export function PhotosView() {
  const tool = useSignal<PhotoTool>(undefined);
  useEffect(watchPhotos, []);
  const name = chosenClass.value;
  const toggle = (wanted: PhotoTool) => {
    tool.value = tool.value === wanted ? undefined : wanted;
  };
  const close = () => toggle(tool.value);
  return (
    <div class="photos">
      <ClassColumn tool={tool.value} onTool={toggle} />
      <div class="photos-main">
        {tool.value === 'survey' && <SurveyPanel onClose={close} />}
        {tool.value === 'bin' && <BinPanel onClose={close} />}
        {name === undefined ? (
          <NoClasses />
        ) : (
          <>
            <ClassTools name={name} isCameraOpen={tool.value === 'camera'} onCamera={() => toggle('camera')} />
            {tool.value === 'camera' && <CameraPanel name={name} onClose={close} />}
            <SelectionBar name={name} />
            <PhotoGrid key={name} name={name} />
          </>
        )}
      </div>
    </div>
  );
}

function NoClasses() {
  const words = texts.photos;
  if (classes.value.length > 0) return null;
  return (
    <div class="empty">
      <h3>{words.beginTitle}</h3>
      <p>{words.begin}</p>
      <p class="note">{words.beginWhere(places.value.data)}</p>
      <button type="button" class="main" onClick={() => void addClass()}>
        {words.firstClass}
      </button>
    </div>
  );
}
