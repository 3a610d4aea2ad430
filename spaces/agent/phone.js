// A click on an element is a tap; a long press or the menu button holds it. Runs once for the phone's part of the page.
const send = (spot, held) => {
  const call = held && spot.dataset.call === 'tap' ? 'long_press' : spot.dataset.call;
  trigger('touch', { call, number: Number(spot.dataset.number || 0), direction: spot.dataset.direction || '' });
};
element.addEventListener('click', (event) => {
  const spot = event.target.closest('.spot');
  if (spot) send(spot, false);
});
element.addEventListener('contextmenu', (event) => {
  const spot = event.target.closest('.spot');
  if (spot) {
    event.preventDefault();
    send(spot, true);
  }
});
