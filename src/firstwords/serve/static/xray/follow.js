// Scrolls a region to what is chosen in it, while one looks at it.

// `chosen()` returns a node in `region`, or null.
export function followChoice(state, region, chosen) {
  const follow = () => {
    const node = chosen();
    if (!node) return;
    const [top, height] = [node.offsetTop - region.scrollTop, node.offsetHeight];
    const isVisible = top > height && top + 2 * height < region.clientHeight;
    if (!isVisible) region.scrollTop = node.offsetTop - region.clientHeight / 2;
  };
  let inSight = false;
  const observer = new IntersectionObserver((entries) => {
    inSight = entries.at(-1).isIntersecting;
    if (inSight) follow();
  });
  observer.observe(region);
  state.onChange(() => {
    if (inSight) requestAnimationFrame(follow);
  }, "position");
}
