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

-- tabs: each heading of the highest level begins one; without a script their names stand above them
local tabsets = 0
local function tabset(div)
  if not div.classes:includes('panel-tabset') then return nil end
  local level
  for _, b in ipairs(div.content) do if b.t == 'Header' and (not level or b.level < level) then level = b.level end end
  if not level then return nil end
  tabsets = tabsets + 1
  local tabs = {}
  for _, b in ipairs(div.content) do
    if b.t == 'Header' and b.level == level then
      tabs[#tabs + 1] = {name = inline_html(b.content), id = 'tabset-' .. tabsets .. '-' .. #tabs + 1, content = pandoc.Blocks{}}
    elseif #tabs > 0 then
      if b.t == 'Header' then b.classes:insert('unlisted') end
      tabs[#tabs].content:insert(b)
    end
  end
  local list, out = {}, pandoc.Blocks{}
  for _, t in ipairs(tabs) do
    list[#list + 1] = '<button type="button" role="tab" id="' .. t.id .. '-tab" aria-controls="' .. t.id .. '">' .. t.name .. '</button>'
    out:insert(pandoc.Div({raw('<p class="tab-name" aria-hidden="true">' .. t.name .. '</p>'), table.unpack(t.content)}, {id = t.id, class = 'tab', role = 'tabpanel', ['aria-labelledby'] = t.id .. '-tab'}))
  end
  out:insert(1, raw('<div class="tablist" role="tablist">' .. table.concat(list) .. '</div>'))
  return pandoc.Div(out, {class = 'panel-tabset', id = div.identifier})
end

-- {{< video FILE >}}: a player for a file of the site; a film elsewhere is a link, for nothing is asked of other servers
local function video(para)
  local source = stringify(para):match('^{{<%s*video%s+(%S+).*>}}$')
  if not source then return nil end
  for _, i in ipairs(para.content) do if i.t == 'Link' then source = i.target end end
  local title = stringify(para):match('title="([^"]*)"') or stringify(para):match('title=“([^”]*)”')
  if source:match('^https?:') then return raw('<p><a class="film" href="' .. escape(source) .. '">▶ <span>' .. escape(title or 'Watch the film at ' .. source:match('^https?://([^/]+)')) .. '</span></a></p>') end
  return raw('<video controls preload="metadata" src="' .. escape(source) .. '"' .. (title and ' aria-label="' .. escape(title) .. '"' or '') .. '></video>')
end

-- pandoc reads `fig-alt` as any attribute; a reader's screen reader needs it as alt
local function image(img)
  local alt = img.attributes['fig-alt']
  if not alt then return nil end
  img.attributes['fig-alt'] = nil
  img.attributes['alt'] = alt
  return img
end

-- Pandoc seeks a language that it does not know by this very name in every syntax it has, and unpacks them all for it: most of a second, once in each process.
local LANGUAGES = {sh = 'bash', shell = 'bash', py = 'python', python3 = 'python', js = 'javascript', ts = 'typescript', yml = 'yaml', md = 'markdown', tex = 'latex'}
local PLAIN = {text = true, txt = true, plain = true, plaintext = true, console = true, output = true, none = true}
local function code(block)
  local class = block.classes[1]
  if LANGUAGES[class] then block.classes[1] = LANGUAGES[class]
  elseif PLAIN[class] and #block.classes == 1 and block.identifier == '' and #block.attributes == 0 then
    return raw('<pre class="' .. class .. '"><code>' .. escape(block.text) .. '</code></pre>')
  else return nil end
  return block
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

-- figures inside a figure are its parts: (a), (b), each with its own name to refer to
function Counter:part(block, parent, n)
  local id, letter = block.identifier, '(' .. string.char(96 + n) .. ')'
  self.label[id] = self:number(parent) .. ' ' .. letter
  local content, caption = block.content, block.t == 'Figure' and block.caption.long[1] and block.caption.long[1].content or pandoc.Inlines{}
  local last = content[#content]
  if block.t == 'Div' and #content > 1 and (last.t == 'Para' or last.t == 'Plain') then caption = content:remove().content end
  if block.t == 'Div' and #content == 1 and content[1].t == 'Figure' then
    caption = content[1].caption.long[1] and content[1].caption.long[1].content or caption
    content = content[1].content
  end
  caption:insert(1, pandoc.Span({pandoc.Str(#caption > 0 and letter .. ' ' or letter)}, {class = 'caption-label'}))
  return pandoc.Figure(content, {long = {pandoc.Plain(caption)}}, pandoc.Attr(id, {'part'}))
end

function Counter:parts_of(div)
  local n = 0
  local function one(b)
    if (b.t ~= 'Div' and b.t ~= 'Figure') or b.identifier == div.identifier or not b.identifier:match('^fig%-') then return nil end
    n = n + 1
    return self:part(b, div.identifier, n)
  end
  local function bare(p)  -- a picture without a caption is no figure to pandoc
    local i = #p.content == 1 and p.content[1]
    if i and i.t == 'Image' and i.identifier:match('^fig%-') then
      local id = i.identifier
      i.identifier = ''
      return one(pandoc.Figure({pandoc.Plain{i}}, {long = {}}, {id = id})), false
    end
  end
  div.content = div.content:walk({traverse = 'topdown', Div = function(d) local p = one(d); if p then return p, false end end, Figure = function(f) local p = one(f); if p then return p, false end end, Para = bare})
end

-- Quarto's figure: a div whose id begins with fig- or tbl- and whose last paragraph is the caption
function Counter:figure(div)
  local known = kind_of(div.identifier)
  if not (known or div.classes:includes('captioned')) then return nil end
  if known then
    self:number(div.identifier)
    self:parts_of(div)
  end
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

-- sources: each citation leads to its entry in the list, and one that the bibliography lacks is named
local function sources(doc, request, unresolved)
  local cited = false
  doc:walk({Cite = function() cited = true end})
  if not cited then return doc end
  doc.meta.bibliography, doc.meta.csl, doc.meta['link-citations'] = request.bibliography, request.csl, true
  local known = {}
  for _, r in ipairs(pandoc.utils.references(doc)) do known[r.id] = true end
  doc:walk({Cite = function(c) for _, one in ipairs(c.citations) do if not known[one.id] then unresolved[#unresolved + 1] = one.id end end end})
  local _, found = pandoc.log.silence(pandoc.utils.citeproc, doc)  -- what it would warn of is in `unresolved`
  return found
end

local function convert(request)
  local doc = pandoc.read(request.text, READER)
  tabsets = 0
  local counter, unresolved = Counter.new(), {}
  counter:sections(doc)
  -- numbers follow the order of the page: tables, figures and equations in one pass from the top
  doc = doc:walk({traverse = 'topdown',
    Div = function(d)
      local c = callout(d) or tabset(d)
      if c then return c end
      return counter:figure(d)
    end,
    Figure = function(f) return counter:plain_figure(f) end,
    Table = function(t) return counter:table(t), false end,
    Para = function(p) return video(p) or counter:equation(p) end,
    Image = image,
    CodeBlock = code,
    Math = function(m) return m.mathtype == 'DisplayMath' and pandoc.Span({m}, {class = 'math-display'}) or nil, false end})
  doc = doc:walk({Cite = function(c) return counter:reference(c, unresolved) end})
  if request.bibliography then doc = sources(doc, request, unresolved) end
  return {html = html(doc.blocks), headings = headings(doc), unresolved = unresolved}
end

for line in io.lines() do
  local ok, result = pcall(function() return convert(pandoc.json.decode(line, false)) end)
  if not ok then result = {error = tostring(result)} end
  io.write(pandoc.json.encode(result), '\n')
  io.flush()
end
