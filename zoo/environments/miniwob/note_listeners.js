// Runs before a page's own scripts: notes which elements the page listens on.
(() => {
  const add = EventTarget.prototype.addEventListener;
  EventTarget.prototype.addEventListener = function (type, ...rest) {
    if (this instanceof Element && ['mousedown', 'mouseup'].includes(type)) this.zooPresses = true;
    if (this instanceof Element && ['click', 'dblclick'].includes(type)) this.zooClicks = true;
    return add.call(this, type, ...rest);
  };
})();
