// Small comforts; every page is whole without them.
(() => {
  const root = document.documentElement, all = (words, inside = document) => [...inside.querySelectorAll(words)]
  const make = (name, facts = {}, ...inside) => {
    const e = Object.assign(document.createElement(name), facts)
    e.append(...inside)
    return e
  }
  const site = new URL('..', document.currentScript.src)  // the top of the site, wherever this page lies
  const wide = matchMedia('(min-width: 75rem)')

  // the theme
  const button = document.querySelector('button.theme'), dark = matchMedia('(prefers-color-scheme: dark)')
  const isDark = () => root.dataset.theme ? root.dataset.theme === 'dark' : dark.matches
  const show = () => button.setAttribute('aria-pressed', isDark())
  const keep = value => { try { localStorage.setItem('theme', value) } catch { /* private window: the choice lasts as long as the page */ } }
  button.hidden = false
  button.addEventListener('click', () => { root.dataset.theme = isDark() ? 'light' : 'dark'; keep(root.dataset.theme); show() })
  dark.addEventListener('change', show)
  show()

  // copy: only where the browser lets us write to the clipboard
  if (navigator.clipboard) for (const block of all('div.sourceCode')) {
    const copy = make('button', { className: 'copy', type: 'button', textContent: 'Copy' })
    copy.addEventListener('click', async () => {
      await navigator.clipboard.writeText(block.querySelector('code').innerText.replace(/\n$/, ''))
      copy.textContent = 'Copied'
      setTimeout(() => { copy.textContent = 'Copy' }, 1500)
    })
    block.append(copy)
  }

  // a line of code has an address: the number in its margin leads there
  for (const block of all('div.sourceCode[id]')) {
    const code = block.querySelector('code')
    code.innerHTML = code.innerHTML.split('\n').map((line, n) => `<span id="${block.id}-${n + 1}">${line}</span>`).join('\n')
  }
  if (/^#cb\d+-\d+$/.test(location.hash)) location.replace(location.hash)  // it had no name when the page was opened
  document.addEventListener('click', e => {
    const line = e.target.closest?.('div.sourceCode code > span[id]')
    if (line && e.clientX < line.getBoundingClientRect().left) location.hash = line.id
  })

  // what scrolls must be reachable by keyboard
  for (const box of all('pre, .table-scroll, .math-display')) if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0

  // a link to something inside a fold or behind a tab opens it
  const unfold = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)))
    for (let e = target; e; e = e.parentElement) {
      if (e.tagName === 'DETAILS') e.open = true
      if (e.role === 'tabpanel') choose(document.getElementById(e.getAttribute('aria-labelledby')))
    }
    if (target && !target.checkVisibility?.()) target.scrollIntoView()
  }

  // tabs: the arrow keys go from one to the next
  const choose = tab => {
    for (const t of tab.parentElement.children) {
      t.setAttribute('aria-selected', t === tab)
      t.tabIndex = t === tab ? 0 : -1
      document.getElementById(t.getAttribute('aria-controls')).hidden = t !== tab
    }
  }
  for (const list of all('[role=tablist]')) {
    const tabs = [...list.children]
    choose(tabs[0])
    list.parentElement.classList.add('ready')
    list.addEventListener('click', e => { if (e.target.role === 'tab') choose(e.target) })
    list.addEventListener('keydown', e => {
      const at = tabs.indexOf(document.activeElement), to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[e.key]
      if (to === undefined) return
      const tab = tabs.at(to % tabs.length)
      choose(tab); tab.focus(); e.preventDefault()
    })
  }
  addEventListener('hashchange', unfold)
  unfold()

  // tables sort by a column: numbers by value, the rest by the alphabet, empty cells last
  const cellValue = (row, i) => {
    const text = row.cells[i]?.textContent.trim() ?? '', number = parseFloat(text.replace(/[,\s]/g, '').replace('−', '-'))
    return text === '' || text === '–' || text === 'NaN' ? null : Number.isNaN(number) ? text.toLowerCase() : number
  }
  const compare = (a, b) => typeof a === typeof b && typeof a === 'number' ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true })
  const sortBy = (table, th) => {
    const body = table.tBodies[0], i = th.cellIndex, down = th.getAttribute('aria-sort') === 'ascending'
    for (const other of all('thead th', table)) other.removeAttribute('aria-sort')
    th.setAttribute('aria-sort', down ? 'descending' : 'ascending')
    const rows = [...body.rows].map(row => [cellValue(row, i), row])
    rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : (down ? -1 : 1) * compare(a, b))
    body.append(...rows.map(([, row]) => row))
  }
  for (const table of all('.table-scroll table')) {
    const heads = table.tHead?.rows
    if (heads?.length !== 1 || table.tBodies.length !== 1 || table.tBodies[0].rows.length < 3 || table.querySelector('[colspan]:not([colspan="1"]), [rowspan]:not([rowspan="1"])')) continue
    for (const th of heads[0].cells) if (th.textContent.trim()) {
      const sort = make('button', { className: 'sort', type: 'button' }, ...th.childNodes)
      sort.addEventListener('click', () => sortBy(table, th))
      th.append(sort)
    }
  }

  // a footnote or a source, shown beside the word that points at it
  const peek = make('div', { className: 'peek', hidden: true }), text = document.querySelector('.text')
  const target = a => a.hash.length > 1 && document.getElementById(decodeURIComponent(a.hash.slice(1)))
  const copyOf = note => {
    const copy = note.cloneNode(true)
    for (const e of [copy, ...all('[id]', copy)]) e.removeAttribute('id')
    for (const e of all('.footnote-back', copy)) e.remove()
    return copy.childNodes
  }
  const look = a => {
    const note = target(a)
    if (!note || root.classList.contains('has-sidenotes') && a.sidenote) return
    peek.replaceChildren(...copyOf(note))
    peek.hidden = false
    const at = a.getBoundingClientRect(), width = Math.min(360, innerWidth - 32)
    Object.assign(peek.style, { width: `${width}px`, left: `${Math.max(16, Math.min(at.left, innerWidth - width - 16)) + scrollX}px`, top: `${at.bottom + scrollY + 8}px` })
  }
  const away = () => { peek.hidden = true }
  const pointers = all('a.footnote-ref, a[href^="#ref-"]')
  if (pointers.length) document.body.append(peek)
  for (const a of pointers) {
    for (const on of ['pointerenter', 'focus']) a.addEventListener(on, () => look(a))
    for (const off of ['pointerleave', 'blur', 'click']) a.addEventListener(off, away)
  }
  addEventListener('keydown', e => { if (e.key === 'Escape') away() })

  // footnotes in the margin, where there is room for them
  const notes = all('a.footnote-ref', text ?? document).map(a => {
    if (!target(a)) return null
    a.sidenote = make('div', { className: 'sidenote' }, make('sup', { textContent: a.textContent }), ' ', ...copyOf(target(a)))
    a.sidenote.setAttribute('aria-hidden', 'true')  // the note itself is at the end, for those who listen
    for (const e of all('a', a.sidenote)) e.tabIndex = -1
    return a
  }).filter(Boolean)
  const place = () => {
    root.classList.toggle('has-sidenotes', wide.matches)
    for (const a of notes) a.sidenote.remove()
    if (!wide.matches) return
    const top = text.getBoundingClientRect().top, right = text.getBoundingClientRect().right
    const taken = all('div.sourceCode, .table-scroll, figure, [class*=column-]', text).map(e => e.getBoundingClientRect()).filter(r => r.right > right + 8).map(r => [r.top - top, r.bottom - top])
    for (const a of notes) {
      if (!a.checkVisibility?.()) continue
      text.append(a.sidenote)
      const height = a.sidenote.offsetHeight
      let y = a.getBoundingClientRect().top - top - 2
      for (const [from, to] of taken.sort((p, q) => p[0] - q[0])) if (y < to + 8 && y + height > from - 8) y = to + 10
      a.sidenote.style.top = `${y}px`
      taken.push([y, y + height])
    }
  }
  if (notes.length) new ResizeObserver(place).observe(text)

  // search: the words of the site come when they are asked for
  const find = document.querySelector('button.find'), dialog = document.querySelector('dialog.search')
  const box = dialog.querySelector('input'), hits = dialog.querySelector('ul'), count = dialog.querySelector('.hits-count')
  let pages = null, chosen = -1
  const plain = words => words.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()
  window.kataSearch = found => {
    pages = found.map(([address, title, about, parts]) => ({ address, title, about, low: plain(`${title} ${about}`), parts: parts.map(([id, head, words]) => ({ id, head, words, lowHead: plain(head), low: plain(words) })) }))
    search()
  }
  let asked = false
  const load = () => {
    if (asked) return
    asked = true
    document.head.append(make('script', { src: new URL('assets/search.js', site).href, onerror() { count.textContent = 'The words of the site could not be loaded.' } }))
  }
  const at = (low, word) => { const i = low.search(new RegExp(`(?<![\\p{L}\\p{N}])${word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`, 'u')); return i < 0 ? low.indexOf(word) < 0 || word.length < 3 ? -1 : low.indexOf(word) : i }
  const score = (page, part, words) => {
    let sum = 0
    for (const w of words) {
      const one = (at(page.low, w) >= 0) * (part.head ? 2 : 9) + (at(part.lowHead, w) >= 0) * 7 + (at(part.low, w) >= 0) * 2
      if (!one) return 0
      sum += one
    }
    return sum
  }
  const marked = (textOf, words) => {
    const low = plain(textOf), first = Math.max(0, Math.min(...words.map(w => at(low, w)).filter(i => i >= 0), textOf.length) - 50)
    const cut = textOf.slice(low.length === textOf.length ? first : 0).slice(0, 150), spans = []
    let rest = cut
    while (rest) {
      const found = words.map(w => [at(plain(rest), w), w.length]).filter(([i]) => i >= 0).sort((a, b) => a[0] - b[0])[0]
      if (!found || plain(rest).length !== rest.length) { spans.push(rest); break }
      spans.push(rest.slice(0, found[0]), make('mark', { textContent: rest.slice(found[0], found[0] + found[1]) }))
      rest = rest.slice(found[0] + found[1])
    }
    return [first ? '… ' : '', ...spans]
  }
  const pick = to => {
    const items = [...hits.children]
    items[chosen]?.setAttribute('aria-selected', 'false')
    chosen = items.length ? (to + items.length) % items.length : -1
    items[chosen]?.setAttribute('aria-selected', 'true')
    items[chosen]?.scrollIntoView({ block: 'nearest' })
    if (chosen < 0) box.removeAttribute('aria-activedescendant')
    else box.setAttribute('aria-activedescendant', items[chosen].id)
  }
  const search = () => {
    const words = plain(box.value).split(/\s+/).filter(Boolean)
    const found = !pages || !words.length ? [] : pages.flatMap(page => page.parts.map(part => [score(page, part, words), page, part])).filter(([s]) => s).sort((a, b) => b[0] - a[0])
    hits.replaceChildren(...found.slice(0, 12).map(([, page, part], i) => {
      const a = make('a', { href: new URL(page.address, site).href + (part.id && `#${part.id}`), tabIndex: -1 },
        make('span', { className: 'hit-title' }, page.title, ...(part.head ? [make('span', { textContent: ` › ${part.head}` })] : [])), make('span', { className: 'hit-words' }, ...marked(part.words || page.about, words)))
      a.addEventListener('click', () => dialog.close())
      const item = make('li', { id: `hit-${i}` }, a)
      item.setAttribute('role', 'option'); item.setAttribute('aria-selected', 'false')
      return item
    }))
    chosen = -1
    pick(0)
    box.setAttribute('aria-expanded', found.length > 0)
    count.textContent = !words.length ? '' : !pages ? 'Looking…' : found.length ? `${found.length} ${found.length === 1 ? 'place' : 'places'}` : 'Nothing found'
  }
  const ask = () => { load(); dialog.showModal(); box.select() }
  find.hidden = false
  find.addEventListener('click', ask)
  box.addEventListener('input', search)
  box.addEventListener('keydown', e => {
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') { pick(chosen + (e.key === 'ArrowDown' ? 1 : -1)); e.preventDefault() }
    if (e.key === 'Enter') { hits.children[chosen]?.querySelector('a').click(); e.preventDefault() }
    if (e.key === 'Escape') { dialog.close(); e.preventDefault() }  // the box alone would only be emptied
  })
  dialog.addEventListener('click', e => { if (e.target === dialog) dialog.close() })
  addEventListener('keydown', e => {
    const typing = e.target.closest?.('input, textarea, select, [contenteditable]')
    if (!dialog.open && !typing && (e.key === '/' && !e.ctrlKey && !e.metaKey && !e.altKey || e.key === 'k' && (e.ctrlKey || e.metaKey))) { ask(); e.preventDefault() }
  })

  // the table of contents follows the text, and is folded where there is no margin for it
  const toc = document.querySelector('.toc')
  if (!toc) return
  if (!wide.matches) toc.firstElementChild.open = false
  toc.firstElementChild.classList.add('ready')
  const links = new Map(all('a', toc).map(a => [decodeURIComponent(a.hash.slice(1)), a]))
  const heads = [...links.keys()].map(id => document.getElementById(id)).filter(Boolean)
  const follow = () => {
    const line = innerHeight * 0.25
    const atEnd = scrollY > 0 && innerHeight + scrollY >= root.scrollHeight - 2
    const here = atEnd ? heads.at(-1) : heads.findLast(h => h.getBoundingClientRect().top < line)
    for (const [id, a] of links) {
      a.classList.toggle('here', here?.id === id)
      if (here?.id === id) a.setAttribute('aria-current', 'location')
      else a.removeAttribute('aria-current')
    }
    const a = here && links.get(here.id)
    if (a && wide.matches && toc.scrollHeight > toc.clientHeight) toc.scrollTop = a.offsetTop - toc.clientHeight / 2
  }
  let waiting = false
  addEventListener('scroll', () => {
    if (waiting) return
    waiting = true
    requestAnimationFrame(() => { waiting = false; follow() })
  }, { passive: true })
  follow()
})()
