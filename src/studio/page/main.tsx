import { render } from 'preact';
import { App } from './app.js';
import { follow } from './state.js';
import './styles/base.css';
import './styles/controls.css';
import './styles/frame.css';
import './styles/photos.css';
import './styles/figures.css';
import './styles/look.css';

const place = document.getElementById('studio');
if (!place) throw new Error('the page has no place for the studio');
follow();
render(<App />, place);
