-- One warm pandoc: a line of JSON in (a page's markdown), a line of JSON out (its HTML, headings, what it refers to).
-- What Quarto's own filters do to a document, in the part that a page of ours uses: callouts, figures with numbers, references.

local READER = 'markdown+autolink_bare_uris+lists_without_preceding_blankline'
local KINDS = {fig = 'Figure', tbl = 'Table', lst = 'Listing', eq = 'Equation', sec = 'Section'}
local CALLOUTS = {note = 'Note', tip = 'Tip', warning = 'Warning', important = 'Important', caution = 'Caution'}
local stringify = pandoc.utils.stringify

local function html(blocks) return pandoc.write(pandoc.Pandoc(blocks), 'html5', {html_math_method = 'mathml', wrap_text = 'none'}) end
local function inline_html(inlines) return (html({pandoc.Plain(inlines)}):gsub('%s+$', '')) end
local function raw(text) return pandoc.RawBlock('html', text) end
local function escape(text) return (text:gsub('&', '&amp;'):gsub('<', '&lt;'):gsub('"', '&quot;')) end
local function kind_of(id) return KINDS[id:match('^(%a+)%-') or ''] end

-- a callout becomes an <aside> with its title, or a <details> where it may be folded
local function callout(div)
  local kind
  for _, class in ipairs(div.classes) do kind = kind or class:match('^callout%-(%a+)$') end
  if not CALLOUTS[kind] then return nil end
  local title, content = div.attributes.title, div.content
  if not title and #content > 0 and content[1].t == 'Header' then
    title = inline_html(content[1].content)
    content:remove(1)
  elseif title then
    title = inline_html(pandoc.read(title, READER).blocks[1].content)
  end
  content = content:map(function(b) return b.t == 'Plain' and pandoc.Para(b.content) or b end)  -- a tight div has no paragraphs
  local fold = div.attributes.collapse
  local id = div.identifier ~= '' and (' id="' .. escape(div.identifier) .. '"') or ''
  local head = '<span class="callout-kind">' .. CALLOUTS[kind] .. '</span>' .. (title and (' <span class="callout-name">' .. title .. '</span>') or '')
  if fold then
    local open = fold == 'false' and ' open' or ''
    content:insert(1, raw('<details' .. id .. ' class="callout callout-' .. kind .. '"' .. open .. '><summary class="callout-title">' .. head .. '</summary>'))
    content:insert(raw('</details>'))
  else
    content:insert(1, raw('<aside' .. id .. ' class="callout callout-' .. kind .. '"><p class="callout-title">' .. head .. '</p>'))
    content:insert(raw('</aside>'))
  end
  return content
end

-- pandoc reads `fig-alt` as any attribute; a reader's screen reader needs it as alt
local function image(img)
  local alt = img.attributes['fig-alt']
  if not alt then return nil end
  img.attributes['fig-alt'] = nil
  img.attributes['alt'] = alt
  return img
end

local Counter = {}
Counter.__index = Counter
function Counter.new() return setmetatable({last = {}, label = {}}, Counter) end

function Counter:number(id)
  local kind = kind_of(id)
  if not kind then return nil end
  if not self.label[id] then
    self.last[kind] = (self.last[kind] or 0) + 1
    self.label[id] = kind .. '\u{a0}' .. self.last[kind]
  end
  return self.label[id]
end

function Counter:caption(inlines, id)
  local label = self:number(id)
  if label then
    local colon = #inlines > 0 and ': ' or ''
    inlines:insert(1, pandoc.Span({pandoc.Str(label .. colon)}, {class = 'caption-label'}))
  end
  return inlines
end

-- Quarto's figure: a div whose id begins with fig- or tbl- and whose last paragraph is the caption
function Counter:figure(div)
  local known = kind_of(div.identifier)
  if not (known or div.classes:includes('captioned')) then return nil end
  local content, caption = div.content, nil
  local last = content[#content]
  if #content > 1 and (last.t == 'Para' or last.t == 'Plain') then caption = content:remove().content end
  if #content == 1 and content[1].t == 'Figure' then content = content[1].content end
  local long = caption and {pandoc.Plain(self:caption(caption, div.identifier))} or (known and {pandoc.Plain(self:caption(pandoc.Inlines{}, div.identifier))}) or {}
  local attr = pandoc.Attr(div.identifier, div.classes, div.attributes)
  return pandoc.Figure(content, {long = long}, attr)
end

function Counter:plain_figure(fig)
  if not kind_of(fig.identifier) or self.label[fig.identifier] then return nil end
  local first = fig.caption.long[1]
  if first then first.content = self:caption(first.content, fig.identifier) end
  return fig
end

function Counter:table(tbl)
  local first = tbl.caption.long[1]
  if kind_of(tbl.identifier) and first then first.content = self:caption(first.content, tbl.identifier) end
  return pandoc.Div({tbl}, {class = 'table-scroll'})
end

-- $$...$$ {#eq-x} is a numbered equation
function Counter:equation(para)
  local c = para.content
  if #c < 2 or c[1].t ~= 'Math' then return nil end
  local id = stringify(c):match('{#(eq%-[%w_-]+)}%s*$')
  if not id then return nil end
  local number = self:number(id):match('%d+$')
  return pandoc.Div({pandoc.Para({c[1], pandoc.Span({pandoc.Str('(' .. number .. ')')}, {class = 'equation-number'})})}, {id = id, class = 'equation'})
end

-- @fig-x is a citation to pandoc; where it names something numbered it is a link to it
function Counter:reference(cite, unresolved)
  local out = pandoc.Inlines{}
  for i, c in ipairs(cite.citations) do
    local kind, label = kind_of(c.id), self.label[c.id]
    if not kind then return nil end
    if not label then
      unresolved[#unresolved + 1] = c.id
      label = '?' .. c.id
    end
    if i > 1 then out:insert(pandoc.Str(', ')) end
    local text = c.mode == 'SuppressAuthor' and label:match('[%d.]+$') or label
    out:insert(pandoc.Link({pandoc.Str(text)}, '#' .. c.id, '', {class = 'quarto-xref'}))
  end
  return out
end

-- sections are counted as Quarto counts them, from the highest level that the page has; only references say the number
function Counter:sections(doc)
  local top, at = 6, {}
  doc:walk({Header = function(h) if not h.classes:includes('unnumbered') then top = math.min(top, h.level) end end})
  doc:walk({Header = function(h)
    if h.classes:includes('unnumbered') then return nil end
    local depth = h.level - top + 1
    at[depth] = (at[depth] or 0) + 1
    for deeper = depth + 1, 6 do at[deeper] = nil end
    local number = {}
    for level = 1, depth do number[level] = tostring(at[level] or 0) end
    if kind_of(h.identifier) then self.label[h.identifier] = kind_of(h.identifier) .. '\u{a0}' .. table.concat(number, '.') end
  end})
end

local function headings(doc)
  local found = {}
  local function note(blocks)
    for _, b in ipairs(blocks) do
      if b.t == 'Header' and b.identifier ~= '' and not b.classes:includes('unlisted') then
        local text = b.content:walk({Note = function() return {} end, Link = function(l) return l.content end, Span = function(s) return s.content end})
        found[#found + 1] = {id = b.identifier, level = b.level, html = inline_html(text)}
      elseif b.t == 'Div' and not b.classes:includes('cell') then note(b.content) end
    end
  end
  note(doc.blocks)
  return found
end

local function convert(request)
  local doc = pandoc.read(request.text, READER)
  local counter, unresolved = Counter.new(), {}
  counter:sections(doc)
  -- numbers follow the order of the page: tables, figures and equations in one pass from the top
  doc = doc:walk({traverse = 'topdown',
    Div = function(d)
      local c = callout(d)
      if c then return c end
      return counter:figure(d)
    end,
    Figure = function(f) return counter:plain_figure(f) end,
    Table = function(t) return counter:table(t), false end,
    Para = function(p) return counter:equation(p) end,
    Image = image,
    Math = function(m) return m.mathtype == 'DisplayMath' and pandoc.Span({m}, {class = 'math-display'}) or nil, false end})
  doc = doc:walk({Cite = function(c) return counter:reference(c, unresolved) end})
  if request.bibliography then
    doc.meta.bibliography = request.bibliography
    doc.meta.csl = request.csl
    doc.meta['link-citations'] = true
    doc = pandoc.utils.citeproc(doc)
  end
  return {html = html(doc.blocks), headings = headings(doc), unresolved = unresolved}
end

for line in io.lines() do
  local ok, result = pcall(function() return convert(pandoc.json.decode(line, false)) end)
  if not ok then result = {error = tostring(result)} end
  io.write(pandoc.json.encode(result), '\n')
  io.flush()
end
