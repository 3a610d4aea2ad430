// What arrives here is a link that holds a file; it is saved at once.
watch('value', async () => {
  const link = element.querySelector('a[download]');
  if (!link || link.dataset.done) return;
  link.dataset.done = 'yes';
  const blob = await (await fetch(link.href)).blob();
  const saving = document.createElement('a');
  saving.href = URL.createObjectURL(blob);
  saving.download = link.download;
  saving.click();
  setTimeout(() => URL.revokeObjectURL(saving.href), 10000);
});
