# Draws the measurements, readable on light and dark pages: gnuplot -e "data='FOLDER'; output='FOLDER'" plots.gnuplot
set datafile separator tab
set datafile columnheaders
set datafile missing NaN
set terminal svg size 860,400 noenhanced font "sans-serif,13"
grey = "#808080"
set border 3 linecolor rgb grey
set tics nomirror textcolor rgb grey
set xlabel textcolor rgb grey
set ylabel textcolor rgb grey
set title textcolor rgb grey
set key textcolor rgb grey below
set grid ytics linecolor rgb grey linewidth 0.3
array color[4] = ["#3b82c4", "#d98324", "#4a9d5b", "#b0508f"]
array row_type[4] = ["float32", "bfloat16", "float16", "int8"]
array window[4] = ["1", "64", "512", "4096"]

set output output."/forward.svg"
set multiplot layout 1,2
set style data histogram
set style histogram clustered gap 1
set style fill solid
set boxwidth 0.9
set yrange [0:]
set ylabel "time / time of copying the table's rows"
set arrow 1 from graph 0, first 1 to graph 1, first 1 nohead linecolor rgb grey dashtype 2 front
do for [panel=0:1] {
  set title (panel == 0 ? "V 50,257, pos_dim 16, d_model 768" : "V 128,256, pos_dim 32, d_model 4096")
  plot for [i=1:4] data."/forward.tsv" every ::(4 * panel)::(4 * panel + 3) using (column(window[i])):xticlabels(2) \
    linecolor rgb color[i] title window[i].(i == 1 ? " id at a time" : "")
}
unset multiplot
unset arrow 1

set style data linespoints
set logscale x
set title "Cost of a token as the vocabulary grows"
set xlabel "tokens in the vocabulary"
set ylabel "nanoseconds a token"
set xrange [800:1200000]
set xtics ("1,000" 1e3, "10,000" 1e4, "100,000" 1e5, "1,000,000" 1e6)
set output output."/scaling.svg"
plot data."/scaling.tsv" using "V":"table copy" linecolor rgb grey linewidth 2 title "copying the table's rows", \
  for [i=1:4] data."/scaling.tsv" using "V":(column(row_type[i])) linecolor rgb color[i] linewidth 2 title row_type[i]." rows"

set logscale x 2
set xrange [*:*]
set xtics autofreq
set title "Forward pass of float32 rows, pos_dim 16, one thread"
set xlabel "d_model"
set ylabel "time / time of copying the table's rows"
set output output."/shapes.svg"
array batch[3] = ["1", "64", "4096"]
plot for [i=1:3] data."/shapes.tsv" \
  using (strcol("rows") eq "float32" && column("pos_dim") == 16 && column("threads") == 1 ? column("d_model") : NaN):(column(batch[i])) \
  linecolor rgb color[i] linewidth 2 title batch[i].(i == 1 ? " id at a time" : "")

set logscale y
set yrange [*:*]
set title "Logits of 128,256 tokens at d_model 4096"
set xlabel "hidden states"
set ylabel "milliseconds"
set output output."/head.svg"
is_large(name) = name[1:6] eq "128256"
plot data."/head.tsv" using (is_large(strcol(1)) && strcol("rows") eq "float32" ? column("hidden states") : NaN):"product, ms" \
  linecolor rgb grey linewidth 2 title "product with the table", \
  for [i=1:4] data."/head.tsv" \
  using (is_large(strcol(1)) && strcol("rows") eq row_type[i] ? column("hidden states") : NaN):"head, ms" \
  linecolor rgb color[i] linewidth 2 title row_type[i]." rows"
