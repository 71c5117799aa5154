import { shown } from "../shading";
import classes from "./Features.module.css";

interface TokenListProps {
  title: string;
  tokens: [string, number][];
  format: (value: number) => string;
}

/** Tokens with a figure each, the first first. */
export function TokenList({ title, tokens, format }: TokenListProps) {
  return (
    <section>
      <h3>{title}</h3>
      <ul className={classes.pairs}>
        {tokens.map(([token, value], i) => (
          <li key={i}>
            <span className={classes.token}>{shown(token)}</span>
            <span className="figures dim">{format(value)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
