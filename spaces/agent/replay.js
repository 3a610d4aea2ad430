// Says every answer again at the speed at which it was said, all of them from the same moment.
let running = 0;
const play = () => {
  const mine = ++running;
  const boxes = [...element.querySelectorAll('pre[data-pieces]')].map((box) => ({ box, pieces: JSON.parse(box.dataset.pieces) }));
  if (!boxes.length) return;
  for (const { box, pieces } of boxes) { // all of its room from the start: what stands beneath must not move while it talks
    box.style.minHeight = '';
    box.textContent = pieces.map(([text]) => text).join('');
    box.style.minHeight = `${box.offsetHeight}px`;
  }
  const start = performance.now();
  const draw = () => {
    if (mine !== running) return;
    const now = (performance.now() - start) / 1000;
    let left = false;
    for (const { box, pieces } of boxes) {
      const said = pieces.filter(([, at]) => at <= now);
      box.textContent = said.map(([text]) => text).join('');
      left = left || said.length < pieces.length;
      box.parentElement.classList.toggle('talking', said.length < pieces.length);
    }
    if (left) requestAnimationFrame(draw);
  };
  draw();
};
element.addEventListener('click', (event) => { if (event.target.closest('[data-again]')) play(); });
watch('value', () => setTimeout(play, 50));
