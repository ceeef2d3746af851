# Draws the loss curves, readable on light and dark pages: gnuplot -e "data='FOLDER'" plots.gnuplot
set datafile separator tab
set datafile columnheaders
set terminal svg size 900,560 noenhanced font "sans-serif,13"
grey = "#808080"
set border 3 linecolor rgb grey
set tics nomirror textcolor rgb grey
set xlabel "step" textcolor rgb grey
set ylabel "validation loss, nats a token" textcolor rgb grey
set grid linecolor rgb grey linewidth 0.3
# Tables in grey and brown, untied Kronecker embeddings in blue, the additive head and its corrections in green and red.
array arm[12] = ["table-tied", "table-tied-bias", "table-untied", "table-untied-bias", "kronecker-untied", \
  "kronecker-untied-bias", "kronecker-own-rows", "production-untied", "kronecker-tied", "kronecker-tied-bias", "kronecker-corrected-16", \
  "kronecker-corrected-64"]
array color[12] = ["#808080", "#808080", "#b5793a", "#b5793a", "#3b82c4", "#3b82c4", "#3b82c4", "#3b82c4", "#c44e52", "#e0a030", \
  "#4a9d5b", "#2e7d6b"]
array dash[12] = [1, 2, 1, 2, 1, 2, 3, 4, 1, 1, 2, 1]
curves = data."/curves.tsv"
set output data."/loss.svg"
stats curves using 1 name "steps" nooutput
stats curves using "table-tied" name "tied" nooutput
set multiplot
set size 0.5, 1
set origin 0, 0
set key textcolor rgb grey top right samplen 2 spacing 0.9
plot for [i=1:12] curves using "step":arm[i] with lines linewidth 2 linecolor rgb color[i] dashtype dash[i] title arm[i]
set origin 0.5, 0
set title "the second half" textcolor rgb grey
unset key
unset ylabel
set xrange [steps_max / 2:]
set yrange [tied_min - 0.45:tied_min + 0.55]
plot for [i=1:12] curves using "step":arm[i] with lines linewidth 2 linecolor rgb color[i] dashtype dash[i]
unset multiplot
