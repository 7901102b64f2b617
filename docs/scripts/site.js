// The theme puts the copy button of every code block into a navigation landmark without a name, when
// the block is about to be seen. A list of landmarks is of use only without them.

function removeLandmarks() {
  for (const node of document.querySelectorAll(".md-code__nav:not([role])")) {
    node.setAttribute("role", "none");
  }
}

new MutationObserver(removeLandmarks).observe(document.body, { childList: true, subtree: true });
removeLandmarks();
