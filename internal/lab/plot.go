package main

import (
	"bytes"
	"image/color"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// colours that people with weak colour vision tell apart (Okabe and Ito).
var colours = []color.Color{
	color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff},
	color.RGBA{0x00, 0x9e, 0x73, 0xff}, color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0x80, 0x80, 0x80, 0xff},
	color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x33, 0x33, 0x33, 0xff}, color.RGBA{0xb0, 0x9a, 0x20, 0xff}, color.RGBA{0x70, 0x40, 0x90, 0xff},
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// decades marks powers of ten, in words that need no exponent.
type decades struct {
	text func(v float64) string
	most float64 // 0: no limit
}

func (d decades) Ticks(lowest, highest float64) (ticks []plot.Tick) {
	for e := math.Floor(math.Log10(lowest)); e <= math.Ceil(math.Log10(highest)); e++ {
		for m := 1.0; m < 10; m++ {
			tick := plot.Tick{Value: m * math.Pow(10, e)}
			if d.most > 0 && tick.Value > d.most {
				return ticks
			}
			if m == 1 {
				tick.Label = d.text(tick.Value)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

func timeText(ms float64) string {
	if ms >= 1000 {
		return strconv.FormatFloat(ms/1000, 'g', -1, 64) + " s"
	}
	return strconv.FormatFloat(ms, 'g', 3, 64) + " ms"
}

func newPlot(title, x, y string) *plot.Plot {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.TextStyle.Font.Size, p.Title.Padding = vg.Points(14), vg.Points(8)
	p.BackgroundColor = color.White
	p.Legend.Top, p.Legend.XOffs, p.Legend.Padding = true, -vg.Points(8), vg.Points(2)
	p.Legend.TextStyle.Font.Size = vg.Points(10)
	return p
}

func save(p *plot.Plot, path string) error {
	canvas := vgsvg.New(18*vg.Centimeter, 11*vg.Centimeter)
	p.Draw(draw.Crop(draw.New(canvas), vg.Points(6), -vg.Points(12), vg.Points(6), -vg.Points(6)))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// plotRestores draws what a restore after 10 changed rows costs, by the size of the
// database.
func plotRestores(path string, sizes []int, byOffices map[int]*grid, column string) error {
	p := newPlot("Back to the baseline after a test changed 10 rows", "rows in the database", "time")
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker = decades{func(v float64) string { return number(int(v)) }, float64(rowsOf(sizes[len(sizes)-1]))}
	p.Y.Tick.Marker = decades{text: timeText}
	p.Add(plotter.NewGrid())
	for i, peer := range peers {
		var points plotter.XYs
		for _, offices := range sizes {
			if took := byOffices[offices].cell(peer.name, column).median(); took > 0 {
				points = append(points, plotter.XY{X: float64(rowsOf(offices)), Y: milliseconds(took)})
			}
		}
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, dots.Color, dots.Shape, dots.Radius = colours[i%len(colours)], colours[i%len(colours)], draw.CircleGlyph{}, vg.Points(3)
		line.Width = vg.Points(1.5)
		if peer.name == us {
			line.Width = vg.Points(3)
		}
		p.Add(line, dots)
		p.Legend.Add(peer.name, line, dots)
	}
	p.X.Min, p.X.Max = float64(rowsOf(sizes[0]))/1.5, float64(rowsOf(sizes[len(sizes)-1]))*30 // room for the legend
	return save(p, path)
}

// plotSuite draws what a test of the suite takes.
func plotSuite(path string, g *grid) error {
	p := newPlot("A test of a suite that begins at the baseline", "", "time per test")
	p.Y.Min = 0
	p.Y.Tick.Marker = plot.TickerFunc(func(lowest, highest float64) []plot.Tick {
		ticks := plot.DefaultTicks{}.Ticks(lowest, highest)
		for i := range ticks {
			if ticks[i].Label != "" {
				ticks[i].Label = timeText(ticks[i].Value)
			}
		}
		return ticks
	})
	width := vg.Points(22)
	for i, column := range g.columns {
		values := make(plotter.Values, len(g.ways))
		for j, way := range g.ways {
			values[j] = milliseconds(g.cell(way, column).median())
		}
		bars, err := plotter.NewBarChart(values, width)
		if err != nil {
			return err
		}
		bars.Color, bars.LineStyle.Width, bars.Offset = colours[i], 0, width*vg.Length(2*i+1-len(g.columns))/2
		p.Add(bars)
		p.Legend.Add(column, bars)
	}
	names := make([]string, len(g.ways))
	for i, way := range g.ways {
		names[i] = strings.Replace(way, ", ", ",\n", 1)
	}
	p.NominalX(names...)
	p.X.Min, p.X.Max, p.Y.Max = -0.5, float64(len(names))-0.3, p.Y.Max*1.2
	return save(p, path)
}
