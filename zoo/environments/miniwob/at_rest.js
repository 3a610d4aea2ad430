// Whether the page is at rest: nothing moves, nothing is about to, and nothing changed a moment ago. Runs as the body of
// a function.
const MOMENT = 40;
const moving = document.getAnimations().some(animation => animation.playState === 'running')
  || window.jQuery && (jQuery.timers.length > 0 || jQuery.active > 0);
return !moving && window.zooSoon.size === 0 && performance.now() - window.zooChanged > MOMENT;
