// Draws a page's charts with libraries that the site carries, when the reader comes near; no other server is asked for anything.
(() => {
  const base = document.currentScript.src.replace(/[^/]*$/, '')
  const style = document.createElement('style')
  style.textContent = '.chart{position:relative;overflow-x:auto}.chart>[aria-busy]{position:absolute;inset:0;visibility:hidden}'
  document.head.append(style)

  const loads = {}
  const load = name => loads[name] ??= new Promise((done, fail) => {
    document.head.append(Object.assign(document.createElement('script'), {src: `${base}${name}.js`, onload: done, onerror: () => fail(Error(`no ${name}`))}))
  })
  const isOurs = uri => new URL(uri, base).href.startsWith(new URL(base).origin === 'null' ? 'file:' : new URL(base).origin)
  const MAPS = /(scatter|choropleth|density)(map|mapbox|geo)|^choropleth$/  // their tiles and borders lie on other servers

  const loader = {
    async sanitize(uri, options) {
      if (options?.context !== 'href' && !isOurs(uri)) throw Error('a part of another server')  // a link is followed by the reader alone
      return {href: new URL(uri, location.href).href}
    },
    async load(uri, options) { return (await fetch((await this.sanitize(uri, options)).href)).text() },
  }
  const draw = {
    async vega(place, spec) {
      for (const [, uri] of JSON.stringify(spec).matchAll(/"url":"([^"\\]*)/g)) if (!isOurs(uri)) throw Error('data of another server')
      await load('vega')
      await vegaEmbed(place, spec, {actions: false, loader, renderer: 'svg'})
    },
    async plotly(place, {data, layout, config}) {
      if (data.some(trace => MAPS.test(trace.type)) || layout?.images) throw Error('parts of other servers')
      await load('plotly')
      await Plotly.newPlot(place, data, layout, {...config, responsive: true, displaylogo: false, showSendToCloud: false})
    },
  }

  const show = async chart => {
    const place = document.createElement('div'), still = chart.querySelector('img, noscript')
    place.ariaBusy = 'true'  // unseen until it is drawn, so that nothing moves
    chart.append(place)
    try {
      await draw[chart.dataset.chart](place, JSON.parse(chart.querySelector('script').textContent))
      still.style.display = 'none'
      place.removeAttribute('aria-busy')
    } catch { place.remove() }
  }
  const near = new IntersectionObserver(seen => seen.filter(s => s.isIntersecting).forEach(s => { near.unobserve(s.target); show(s.target) }), {rootMargin: '600px'})
  document.querySelectorAll('.chart').forEach(chart => near.observe(chart))
})()
