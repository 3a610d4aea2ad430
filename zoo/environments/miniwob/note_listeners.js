// Runs before a page's own scripts: notes which elements the page listens on, when the page last changed, and which
// timers it has set that run soon. The page's own clock and score change all the time and are not part of its screen.
(() => {
  const add = EventTarget.prototype.addEventListener;
  EventTarget.prototype.addEventListener = function (type, ...rest) {
    if (this instanceof Element && ['mousedown', 'mouseup'].includes(type)) this.zooPresses = true;
    if (this instanceof Element && ['click', 'dblclick'].includes(type)) this.zooClicks = true;
    return add.call(this, type, ...rest);
  };

  const SOON = 1000;
  const later = window.setTimeout.bind(window), never = window.clearTimeout.bind(window);
  window.zooSoon = new Set();
  window.setTimeout = (work, delay = 0, ...rest) => {
    if (typeof work !== 'function' || delay > SOON) return later(work, delay, ...rest);
    const timer = later((...given) => { window.zooSoon.delete(timer); work(...given); }, delay, ...rest);
    window.zooSoon.add(timer);
    return timer;
  };
  window.clearTimeout = timer => { window.zooSoon.delete(timer); never(timer); };

  const clock = node => (node.nodeType === 1 ? node : node.parentElement)?.closest('#reward-display');
  window.zooChanged = 0;
  new MutationObserver(changes => {
    if (changes.some(change => !clock(change.target))) window.zooChanged = performance.now();
  }).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
})();
