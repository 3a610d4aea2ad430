// Reads the page: the lines of its screen, in order, and where each numbered one lies. Runs as the body of a function,
// and leaves the numbered elements in `window.zooTouchable`. An element has a number when it can be touched: by its
// kind, or because the page listens for a click on it. Only what lies inside the window and inside every box that clips
// it is shown. The page's own frame, its instruction and its score are not part of the screen.
const UNREAD = new Set(['query', 'reward-display', 'sync-task-cover', 'click-canvas']);
const FRAMES = new Set(['wrap', 'area']);
const NEVER = new Set(['HTML', 'BODY', 'SCRIPT', 'STYLE', 'CANVAS', 'BR', 'HR', 'LINK']);
const TOUCHED = new Set(['BUTTON', 'A', 'INPUT', 'TEXTAREA', 'OPTION']);
const touchable = [], entries = [];

const squeezed = text => (text || '').replace(/\s+/g, ' ').trim();
const classOf = el => (typeof el.className === 'string' ? el.className : el.className.baseVal || '')
  .split(' ').filter(name => !/^ui-(widget|corner|button|state|helper|icon)/.test(name)).join(' ');

function clipped(el) {
  let {left, top, right, bottom} = el.getBoundingClientRect();
  left = Math.max(left, 0); top = Math.max(top, 0);
  right = Math.min(right, innerWidth); bottom = Math.min(bottom, innerHeight);
  for (let up = el.parentElement; up && up !== document.body; up = up.parentElement) {
    if (getComputedStyle(up).overflow === 'visible') continue;
    const box = up.getBoundingClientRect();
    left = Math.max(left, box.left); top = Math.max(top, box.top);
    right = Math.min(right, box.right); bottom = Math.min(bottom, box.bottom);
  }
  return {left, top, right, bottom};
}
function visible(el) {
  if (NEVER.has(el.tagName) && el !== document.body || UNREAD.has(el.id)) return false;
  if (el.tagName === 'OPTION') return visible(el.closest('select'));
  const style = getComputedStyle(el);
  if (style.visibility === 'hidden' || style.display === 'none' || +style.opacity === 0) return false;
  const box = el.getBoundingClientRect();
  if (style.display === 'contents' || box.width === 0 && box.height === 0) return el.children.length > 0;
  const {left, top, right, bottom} = clipped(el);
  if (right - left >= 2 && bottom - top >= 2) return true;
  return el.tagName !== 'SELECT' && style.overflow === 'visible' && [...el.children].some(visible);
}
const touches = el => !NEVER.has(el.tagName) && !FRAMES.has(el.id) && !(el.tagName === 'INPUT' && el.type === 'hidden')
  && (TOUCHED.has(el.tagName) || el.zooClicks || el.onclick
      || !el.children.length && (el.zooPresses || el.onmousedown)
      || getComputedStyle(el).cursor === 'pointer' && getComputedStyle(el.parentElement).cursor !== 'pointer');
const scrolls = el => ['auto', 'scroll'].includes(getComputedStyle(el).overflowY)
  && el.scrollHeight > el.clientHeight + 2 && el.tagName !== 'SELECT' && el.tagName !== 'BODY';
const holds = el => [...el.querySelectorAll('*')].some(inner => (touches(inner) || scrolls(inner)) && visible(inner));

function labelled(el) {
  const label = (el.labels && el.labels[0]) || el.closest('label');
  if (label) return squeezed(label.textContent);
  for (let near of [el.nextSibling, el.previousElementSibling]) {
    if (near && (near.nodeType === 3 || ['SPAN', 'LABEL'].includes(near.tagName)) && squeezed(near.textContent))
      return squeezed(near.textContent);
  }
  return el.placeholder || el.name || el.id || '';
}
function own(el) {
  let text = '';
  el.childNodes.forEach(node => {
    if (node.nodeType === 3) text += ' ' + node.data;
    else if (node.nodeType === 1 && visible(node) && !touches(node)) text += ' ' + own(node);
  });
  return squeezed(text);
}
const bare = el => el.children.length > 0 && !own(el) && holds(el);
const labels = el => ['LABEL', 'SPAN'].includes(el.tagName) && el.nextElementSibling
  && el.nextElementSibling.matches('input:not([type=checkbox]):not([type=radio]), textarea');
const named = el => own(el) || el.value || el.alt || el.title || el.getAttribute('aria-label') || classOf(el) || el.id;

function number(el, role, does, status, text) {
  touchable.push(el);
  entries.push({number: touchable.length, role, does, status, text: squeezed(text)});
}
function field(el) {
  const kind = el.tagName === 'INPUT' ? el.type : 'textarea';
  if (kind === 'checkbox' || kind === 'radio')
    number(el, kind === 'radio' ? 'RadioButton' : 'CheckBox', 'click', el.checked ? 'checked' : 'unchecked',
           labelled(el));
  else if (['button', 'submit', 'reset', 'image'].includes(kind))
    number(el, 'Button', 'click', '', el.value || named(el));
  else if (kind !== 'hidden') {
    const focused = document.activeElement === el ? 'focused' : '';
    number(el, 'EditText', scrolls(el) ? 'click,scroll' : 'click', focused,
           labelled(el).replace(/:$/, '').replace(/(.)$/, '$1: ') + el.value);
  }
}
function inline(el) {
  return ![...el.querySelectorAll('*')].some(inner =>
    !['inline', 'inline-block', 'table-cell', 'none'].includes(getComputedStyle(inner).display));
}
function walk(el, silent) {
  for (const node of el.childNodes) {
    if (node.nodeType === 3) {
      if (!silent && squeezed(node.data) && !(el.tagName === 'LABEL' && el.querySelector('input')))
        entries.push({number: 0, role: '', does: '', status: '', text: squeezed(node.data)});
      continue;
    }
    if (node.nodeType !== 1 || !visible(node)) continue;
    if (node.tagName === 'INPUT' || node.tagName === 'TEXTAREA') { field(node); continue; }
    if (node.tagName === 'SELECT') {
      for (const option of node.options) number(option, '', 'click', option.selected ? 'selected' : '', option.text);
      continue;
    }
    if (scrolls(node)) number(node, 'ListView', 'scroll', '', '');
    else if (touches(node) && !bare(node) && !(node.tagName === 'LABEL' && node.querySelector('input'))) {
      const state = /\b(active|selected|ui-state-active|ui-tabs-active)\b/.test(classOf(node)) ? 'selected' : '';
      number(node, node.tagName === 'BUTTON' ? 'Button' : '', 'click', node.disabled ? 'disabled' : state, named(node));
      if (holds(node)) walk(node, true);
      continue;
    }
    if (labels(node)) continue;
    if (!silent && !holds(node) && inline(node) && node.tagName !== 'svg') {
      const text = squeezed(node.innerText || node.textContent);
      if (text) entries.push({number: 0, role: '', does: '', status: '', text});
    } else walk(node, silent);
  }
}
walk(document.body, false);
window.zooTouchable = touchable;
return {
  entries, done: WOB_DONE_GLOBAL, reward: WOB_RAW_REWARD_GLOBAL, instruction: core.getUtterance(),
  boxes: touchable.map(el => { const box = clipped(el); return [box.left, box.top, box.right, box.bottom]; }),
};
