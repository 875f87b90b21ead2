// Small comforts; every page is whole without them.
(() => {
  const root = document.documentElement, button = document.querySelector('button.theme')
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const isDark = () => root.dataset.theme ? root.dataset.theme === 'dark' : dark.matches
  const show = () => button.setAttribute('aria-pressed', isDark())
  const keep = value => { try { localStorage.setItem('theme', value) } catch { /* private window: the choice lasts as long as the page */ } }
  button.hidden = false
  button.addEventListener('click', () => { root.dataset.theme = isDark() ? 'light' : 'dark'; keep(root.dataset.theme); show() })
  dark.addEventListener('change', show)
  show()

  // copy: only where the browser lets us write to the clipboard
  if (navigator.clipboard) for (const block of document.querySelectorAll('div.sourceCode')) {
    const copy = document.createElement('button')
    copy.className = 'copy'; copy.type = 'button'; copy.textContent = 'Copy'
    copy.addEventListener('click', async () => {
      await navigator.clipboard.writeText(block.querySelector('code').innerText.replace(/\n$/, ''))
      copy.textContent = 'Copied'
      setTimeout(() => { copy.textContent = 'Copy' }, 1500)
    })
    block.append(copy)
  }

  // what scrolls sideways must be reachable by keyboard
  for (const box of document.querySelectorAll('pre, .table-scroll')) if (box.scrollWidth > box.clientWidth) box.tabIndex = 0

  // a link to something inside a fold opens the fold
  const unfold = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)))
    for (let e = target; e; e = e.parentElement) if (e.tagName === 'DETAILS') e.open = true
  }
  addEventListener('hashchange', unfold)
  unfold()

  // the table of contents follows the text, and is folded where there is no margin for it
  const toc = document.querySelector('.toc')
  if (!toc) return
  if (!matchMedia('(min-width: 75rem)').matches) toc.firstElementChild.open = false
  const links = new Map([...toc.querySelectorAll('a')].map(a => [decodeURIComponent(a.hash.slice(1)), a]))
  const heads = [...links.keys()].map(id => document.getElementById(id)).filter(Boolean)
  const follow = () => {
    const line = innerHeight * 0.25
    const atEnd = scrollY > 0 && innerHeight + scrollY >= root.scrollHeight - 2
    const here = atEnd ? heads.at(-1) : heads.findLast(h => h.getBoundingClientRect().top < line)
    for (const [id, a] of links) a.classList.toggle('here', here?.id === id)
  }
  let waiting = false
  addEventListener('scroll', () => {
    if (waiting) return
    waiting = true
    requestAnimationFrame(() => { waiting = false; follow() })
  }, { passive: true })
  follow()
})()
