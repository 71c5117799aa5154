/** The nth job's line: a colour of the theme's, the same in every chart and in the table. */
export const colourOf = (index: number): string => `--series-${index + 1}`;
